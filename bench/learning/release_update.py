# Copyright 2026 The dfp_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""
Reimplementation of the update in the paper's release as one JAX program, for timing only.

Networks, batch, losses and passes are those of the release: the critics evaluate every generated
chunk although that loss has weight zero, and their layer norms are between the products. Initial
weights and data are random, which does not affect the time of an update. Sizes come from a
:class:`training.config.TrainConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np
import optax

from training.config import TrainConfig

Arrays = Any
# Offset that excludes distances of a chunk to itself.
FAR = 100.0


def make_update(
        config: TrainConfig, improving: bool, observation: int,
        action: int) -> Callable[[tuple[np.ndarray, ...]], None]:
    """
    Make a learner.

    :param config: Sizes and weights.
    :param improving: Whether the loss has the top-K drift.
    :param observation: Size of an observation.
    :param action: Size of an action.
    :return: Makes an update on observations (B, observation), chunks (B, horizon * action), next
        observations, rewards (B,), masks (B,) and validity of chunks (B,), and waits for it.
    """
    size = action * config.horizon
    optimiser = optax.adam(config.learning_rate)

    def loss(learnt: Arrays, kept: Arrays, batch: Arrays, key: Arrays) -> Arrays:
        states, chunks, following, rewards, masks, valid = batch
        stop = jax.lax.stop_gradient
        for_target, for_actor, for_pool = jax.random.split(key, 3)
        count = len(states)

        def drawn(actor: Arrays, states: Arrays, each: int, key: Arrays) -> Arrays:
            noise = jax.random.normal(key, (count, each, size))
            repeated = jnp.repeat(states[:, None], each, axis=1)
            return jnp.clip(_actor(actor, repeated, noise), -1, 1)

        def values(critics: Arrays, states: Arrays, chunks: Arrays) -> Arrays:
            repeated = jnp.repeat(states[:, None], chunks.shape[1], axis=1)
            return _critics(critics, repeated, chunks).mean(axis=0)

        candidates = drawn(stop(learnt['actor']), following, config.best_of, for_target)
        best = values(stop(learnt['critics']), following, candidates).argmax(axis=1)
        chosen = candidates[jnp.arange(count), best]
        target = rewards + config.discount ** config.horizon * masks * _critics(
            kept['critics'], following, chosen).mean(axis=0)
        error = _critics(learnt['critics'], states, chunks) - target
        critic = (error ** 2 * valid).mean()

        generated = drawn(learnt['actor'], states, config.generated, for_actor)
        unused = 0.0 * values(stop(learnt['critics']), states, generated).mean()
        actor = drift(generated, chunks[:, None], config.bandwidths)
        if improving:
            pool = drawn(kept['anchor'], states, config.pool, for_pool)
            ranked = values(stop(learnt['critics']), states, pool).argsort(axis=1)
            top = jnp.take_along_axis(pool, ranked[:, -config.top:, None], axis=1)
            actor += config.value_weight * drift(generated, top, config.bandwidths)
        return critic + actor - unused

    @jax.jit
    def step(learnt: Arrays, kept: Arrays, moments: Arrays, batch: Arrays, key: Arrays) -> Arrays:
        gradient = jax.grad(loss)(learnt, kept, batch, key)
        change, moments = optimiser.update(gradient, moments, learnt)
        learnt = optax.apply_updates(learnt, change)
        kept = kept | {'critics': optax.incremental_update(
            learnt['critics'], kept['critics'], config.target_rate)}
        if improving:
            kept = kept | {'anchor': optax.incremental_update(
                learnt['actor'], kept['anchor'], config.anchor_rate)}
        return learnt, kept, moments

    key = jax.random.PRNGKey(0)
    learnt = {
        'actor': _layers(key, (observation + size, *config.hidden, size)),
        'critics': jax.vmap(
            lambda key: _layers(key, (observation + size, *config.hidden, 1), norms=True)
        )(jax.random.split(key, config.critics))}
    kept = {'critics': learnt['critics'], 'anchor': learnt['actor']}
    state = [learnt, kept, optimiser.init(learnt), key]

    def update(batch: tuple[np.ndarray, ...]) -> None:
        state[3], key = jax.random.split(state[3])
        state[:3] = step(*state[:3], tuple(map(jnp.asarray, batch)), key)
        jax.block_until_ready(state[0])
    return update


def _layers(key: Arrays, widths: tuple[int, ...], norms: bool = False) -> list[dict[str, Arrays]]:
    made = []
    for into, out in zip(widths, widths[1:], strict=False):
        key, own = jax.random.split(key)
        layer = {'weight': jax.nn.initializers.xavier_uniform()(own, (into, out)),
                 'bias': jnp.zeros(out)}
        if norms and out > 1:
            layer |= {'scale': jnp.ones(out), 'shift': jnp.zeros(out)}
        made.append(layer)
    return made


def _actor(layers: Arrays, states: Arrays, noise: Arrays) -> Arrays:
    hidden = jnp.concatenate([states, noise], axis=-1)
    for layer in layers[:-1]:
        hidden = jax.nn.gelu(hidden @ layer['weight'] + layer['bias'], approximate=True)
    return hidden @ layers[-1]['weight'] + layers[-1]['bias']


def _critics(ensemble: Arrays, states: Arrays, chunks: Arrays) -> Arrays:
    def one(layers: Arrays, hidden: Arrays) -> Arrays:
        for layer in layers[:-1]:
            hidden = jax.nn.gelu(hidden @ layer['weight'] + layer['bias'], approximate=True)
            mean = hidden.mean(axis=-1, keepdims=True)
            variance = (hidden ** 2).mean(axis=-1, keepdims=True) - mean ** 2
            hidden = (hidden - mean) * jax.lax.rsqrt(variance + 1e-6)
            hidden = hidden * layer['scale'] + layer['shift']
        return (hidden @ layers[-1]['weight'] + layers[-1]['bias'])[..., 0]
    return jax.vmap(one, in_axes=(0, None))(ensemble, jnp.concatenate([states, chunks], axis=-1))


def drift(generated: Arrays, positives: Arrays, bandwidths: tuple[float, ...]) -> Arrays:
    """Compute the loss of training/learning/agents/drift.py, whose comments explain it."""
    still = jax.lax.stop_gradient(generated)
    count, size = generated.shape[1:]
    others = jnp.concatenate([still, positives], axis=1)
    squares = (
        (still ** 2).sum(-1)[:, :, None] + (others ** 2).sum(-1)[:, None]
        - 2 * jnp.einsum('bis,bjs->bij', still, others))
    distances = jnp.sqrt(jnp.clip(squares, 1e-8))
    scale = distances.mean()
    unit = jnp.clip(scale / np.sqrt(size), 1e-3)
    distances = distances / jnp.clip(scale, 1e-3) + jnp.pad(
        FAR * jnp.eye(count), ((0, 0), (0, positives.shape[1])))
    total = jnp.zeros_like(still)
    for bandwidth in bandwidths:
        logits = -distances / bandwidth
        affinities = jnp.sqrt(jnp.clip(
            jax.nn.softmax(logits, axis=-1) * jax.nn.softmax(logits, axis=-2), 1e-6))
        away, near = affinities[:, :, :count], affinities[:, :, count:]
        weights = jnp.concatenate([
            -away * near.sum(-1, keepdims=True), near * away.sum(-1, keepdims=True)], axis=2)
        force = jnp.einsum('bij,bjs->bis', weights, others / unit)
        force -= weights.sum(-1, keepdims=True) * still / unit
        total += force / jnp.sqrt(jnp.clip((force ** 2).mean(), 1e-8))
    goal = jax.lax.stop_gradient(still / unit + total)
    return ((generated / unit - goal) ** 2).mean()
