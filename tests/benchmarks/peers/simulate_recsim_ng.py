"""User-steps a second of RecSim NG's ecosystem of users and providers, as one compiled graph.

Arguments: people, posts.
"""

import sys
import time

import numpy as np
import tensorflow as tf
from recsim_ng.applications.ecosystem_simulation import simulation_config
from recsim_ng.core import network
from recsim_ng.lib.tensorflow import runtime
from said import say

TOPICS, STEPS, POSTS_OF_A_PROVIDER = 10, 3, 5


def main(people: int, posts: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    means = np.random.default_rng(0).normal(size=(posts // POSTS_OF_A_PROVIDER, TOPICS))
    variables = simulation_config.create_viable_provider_simulation_network(
        means.astype(np.float32), num_users=people
    )
    graph = runtime.TFRuntime(network=network.Network(variables=variables))

    @tf.function
    def run() -> tf.Tensor:
        final = graph.execute(num_steps=STEPS)
        return tf.reduce_mean(network.find_unique_field(final, "cumulative_reward")[1])

    run()
    began = time.process_time()
    run().numpy()
    seconds = time.process_time() - began
    say("RecSim NG 0.1.2, ecosystem", people * STEPS, seconds, slate=3, steps=STEPS)


main(*map(int, sys.argv[1:]))
