"""Quantities of a platform that has run, read from the events of its log."""

import numpy as np

from recsys.config import Platform
from recsys.config.world import Slots
from recsys.measures import gini
from tests.kit.fields import SHORT

PLENTY = {"posts.per_creator_day": 1.0}
FRESH = {**PLENTY, "platform.slots": Slots(personal=0.1, following=0, trending=0, fresh=0.9)}
HASTY = {"behaviour.leaving": -3.0}
STRANGERS = {"influx.origin": Platform(formats=(0.9, 0.05, 0.05))}


def clicked(read, newcomers=None):
    """The mean of something about the posts and users of clicks."""

    def quantity(it):
        mine = it.did("click", newcomers)
        return read(it, it.user[mine], it.item[mine]).mean()

    return quantity


likeness_of_clicked = clicked(
    lambda it, user, post: (it.run.people.latent[user] * it.run.posts.latent[post]).sum(axis=1)
)


def taste_for_clicked(it):
    """Mean taste for the topics of posts that were clicked, over that of posts shown."""
    taste = it.run.people.taste[it.user, it.run.posts.topic[it.item]]
    return taste[it.did("click")].mean() / taste[it.did("impression")].mean()


def newcomers_short_clicks(it):
    """By how much short video's share of newcomers' clicks exceeds that of incumbents'."""
    short = it.run.posts.format[it.item] == SHORT
    return short[it.did("click", True)].mean() - short[it.did("click", False)].mean()


def inequality_of_posts(it):
    """Gini of the clicks on posts that were shown."""
    clicks = np.bincount(it.item[it.did("click")], minlength=it.run.posts.n)
    return float(gini(clicks[np.unique(it.item[it.did("impression")])].astype(float)))


def content_of_newcomers(it):
    return np.nanmean(it.run.states.satisfaction[it.run.world.incumbents :])


def age(it):
    """Mean age in days of the posts shown."""
    shown = it.did("impression")
    return (it.day[shown] - it.run.posts.published[it.item[shown]]).mean()
