(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const read = (id) => ($(id) ? JSON.parse($(id).textContent) : null);
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined && text !== null) node.textContent = text;
    return node;
  };

  /* Feeds, side by side. All text from data is set as text, never as markup. */
  const SHAPES = {
    "short video": "M8 5v14l11-7z",
    "long video": "M3 6h18v12H3z M10 9.5v5l4.5-2.5z",
    "image-text": "M3 4h18v11H3z M3 12l5-4 5 5 3-2 5 4 M3 19h18",
  };
  const PLAIN = "M4 4h16v16H4z M4 9h16";
  const icon = (format) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", SHAPES[format] || PLAIN);
    svg.append(path);
    return svg;
  };
  const MAKERS = {small: "small, long-time", large: "large, long-time", newcomer: "newcomer", incumbent: "long-time"};

  const card = (known, slot, rank) => {
    const [topic, language, format, tag, creator, more, title, picture] = known;
    const [, source, state] = slot;
    const post = make("li", "post");
    const cover = make("span", "cover");
    cover.append(icon(format));
    post.append(cover, make("div", "rank", rank));
    let said = "";
    if (state === "new") { post.classList.add("new"); said = "different"; }
    else if (state === "out") { post.classList.add("out"); said = "pushed out"; }
    else if (state !== 0) said = (state > 0 ? "↑" : "↓") + Math.abs(state);
    if (said) {
      const mark = make("span", "mark", said);
      if (typeof state === "number") mark.setAttribute("aria-label", `moved ${state > 0 ? "up" : "down"} ${Math.abs(state)}`);
      post.append(mark);
    }
    if (creator === "newcomer") post.classList.add("by-newcomer");
    post.append(make("div", "topic", title || topic || more || "post"));
    const about = [title ? topic : null, format, title || topic ? more : null].filter(Boolean).join(" · ");
    const line = make("div", "about");
    if (language) line.append(make("span", !data.native || language === data.native ? "language" : "language other", language), " ");
    line.append(about);
    if (language || about) post.append(line);
    if (creator) post.append(make("div", "maker", MAKERS[creator] || creator));
    if (tag === "true") post.append(make("div", "about", "links a product"));
    if (source && source !== "personal") cover.append(make("span", "source", source));
    if (picture) post.append(make("div", "about", picture));
    return post;
  };

  const phone = (data, side, slots, feeds) => {
    const box = make("section", "phone");
    box.setAttribute("aria-label", data.sides[side]);
    box.append(make("h3", "", data.sides[side]));
    const count = make("p", "count");
    box.append(count);
    if (!slots) {
      count.textContent = feeds.some(Boolean)
        ? "Training again changes nothing here, or it was not measured."
        : "This user had no feed on this day.";
      return box;
    }
    const other = slots.filter((slot) => slot[2] === "new" || slot[2] === "out").length;
    const newcomers = slots.filter((slot) => data.cards[slot[0]][4] === "newcomer").length;
    const words = side === 0
      ? `${other} of ${slots.length} posts give way in the feed beside it.`
      : `${other} of ${slots.length} posts are other posts` + (side === 1 && data.sides.length > 2 ? `; newcomers made ${newcomers} of ${slots.length}.` : ".");
    count.textContent = words;
    const list = make("ol");
    slots.forEach((slot, place) => list.append(card(data.cards[slot[0]], slot, place + 1)));
    box.append(list);
    return box;
  };

  const data = read("phones-data");
  if (data) {
    const [users, recommenders, mitigations, day, third] =
      ["pick-user", "pick-recommender", "pick-mitigation", "pick-day", "pick-third"].map($);
    const at = (box) => (box ? Number(box.value) || 0 : 0);
    const fill = (select, texts) => {
      if (!select) return;
      const kept = select.selectedIndex;
      select.replaceChildren(...texts.map((text, place) => new Option(text, place)));
      select.selectedIndex = kept >= 0 && kept < texts.length ? kept : 0;
    };
    const draw = () => {
      const mine = data.recommenders[at(recommenders)];
      const key = [at(recommenders), at(mitigations), at(users), at(day)].join(".");
      const feeds = data.feeds[key] || data.sides.map(() => null);
      const shown = data.sides.map((_, side) => side).filter((side) => side < 2 || (third && third.checked));
      $("phones").replaceChildren(...shown.map((side) => phone(data, side, feeds[side], feeds)));
      if (day) $("day-text").textContent = data.days[at(day)];
      const chain = mine.mitigations[at(mitigations)];
      const when = data.days.length ? `, day ${data.days[at(day)]}` : "";
      const by = mine.name ? `${mine.name}${chain === "none" ? "" : " + " + chain}, ` : "";
      const named = mine.users[at(users)].text.split(",")[0].replace(": user", " (user") + ")";
      const who = (by ? named.charAt(0).toLowerCase() : named.charAt(0)) + named.slice(1);
      $("phones").parentNode.classList.toggle("three", shown.length > 2);
      const chance = mine.anyway && mine.anyway[at(mitigations)][at(day)];
      const usual = chance ? ` On this day ${chance} of 100 posts change by chance alone, as when one more person joins.` : "";
      $("feeds-words").textContent = `${by}${who}${when}: the same person at the same time.${usual}`;
    };
    const refill = () => {
      const mine = data.recommenders[at(recommenders)];
      fill(users, mine.users.map((user) => user.text));
      fill(mitigations, mine.mitigations);
      $("label-mitigation").hidden = mine.mitigations.length < 2;
      if (mine.mitigations.length < 2) $("label-mitigation").style.display = "none"; else $("label-mitigation").style.display = "";
      draw();
    };
    fill(recommenders, data.recommenders.map((each) => each.name));
    if (recommenders) recommenders.addEventListener("change", refill);
    for (const box of [users, mitigations, third]) if (box) box.addEventListener("change", draw);
    if (day) day.addEventListener("input", draw);
    $("picker").addEventListener("submit", (event) => event.preventDefault());
    refill();
  }

  /* Charts. Colours are variables of the style, so one drawing serves light, dark and print. */
  const plots = read("plots-data");
  if (plots && window.vegaEmbed) {
    const text = {font: "system-ui, sans-serif"};
    const config = {
      background: null, font: text.font,
      view: {stroke: null},
      axis: {labelColor: "var(--muted)", titleColor: "var(--muted)", gridColor: "var(--line)", domainColor: "var(--line)",
        tickColor: "var(--line)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 8},
      legend: {labelColor: "var(--ink)", titleColor: "var(--muted)", labelFontSize: 12, symbolSize: 90, rowPadding: 4},
      axisY: {labelColor: "var(--ink)"},
      axisX: {labelOverlap: "parity", labelSeparation: 10, labelFlush: false},
    };
    const options = {actions: false, renderer: "svg", config, tooltip: {theme: "custom"}};
    for (const place of document.querySelectorAll("[data-plot]")) {
      const spec = plots[Number(place.dataset.plot)];
      spec.padding = {left: 4, right: 16, top: 6, bottom: 4};
      if (spec.width === "container") spec.autosize = {type: "fit-x", contains: "padding"};
      window.vegaEmbed(place, spec, options).catch((error) => { place.textContent = String(error); });
    }
  }
})();
