"""Priors over grids of codes: all probabilities of a tiny alphabet, and how often grids are drawn.

The grid has 2x2 places of 3 codes: 81 grids, and 256 in which some places are hidden.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

import zoo
from zoo.families import code_priors
from zoo.families.code_priors import MaskedPrior, RasterPrior

K, N = 3, 4
GRIDS = np.array(list(itertools.product(range(K), repeat=N)), np.int32)
DRAWS = 20_000


def scattered(prior, seed=1):
    rng = np.random.default_rng(seed)
    for v in prior.trainable_variables:
        v.assign(v + 0.4 * rng.standard_normal(v.shape))
    return prior


def raster():
    return scattered(RasterPrior(K, (2, 2), 8, 2, 2))


def masked(num_steps=N, temperature=1.0, seed=1):
    how = {"num_steps": num_steps, "temperature": temperature}
    return scattered(MaskedPrior(K, (2, 2), 8, 2, 2, **how), seed)


def log_p_given(prior):
    """Of all 256 grids with hidden places (K): log p of each code at each place, [256, N, K]."""
    every = np.array(list(itertools.product(range(K + 1), repeat=N)), np.int32)
    return scipy.special.log_softmax(prior.network(every).numpy().astype(float), -1)


def by_orders(prior):
    """Log p of each grid in each of the 24 orders, one place after the other: [81, 24]."""
    table, found = log_p_given(prior), np.zeros((len(GRIDS), math.factorial(N)))
    radix = (K + 1) ** np.arange(N)[::-1]
    for o, order in enumerate(itertools.permutations(range(N))):
        seen = np.full_like(GRIDS, K)
        for i in order:
            found[:, o] += table[seen @ radix, i, GRIDS[:, i]]
            seen[:, i] = GRIDS[:, i]
    return found


def fits(codes, p):
    """The p-value of drawn grids [DRAWS, 2, 2] under probabilities p of GRIDS."""
    drawn = codes.numpy().reshape(-1, N) @ K ** np.arange(N)[::-1]
    counts, expected = np.bincount(drawn, minlength=len(GRIDS)), len(codes) * p / p.sum()
    often = expected > 10
    groups = [np.append(a[often], a[~often].sum()) for a in (counts.astype(float), expected)]
    if often.all():  # then no group is left of the others
        groups = [a[:-1] for a in groups]
    return scipy.stats.chisquare(*groups).pvalue


def test_the_probabilities_of_all_grids_sum_to_1():
    log_p = raster().bound(GRIDS.reshape(-1, 2, 2), 1, None).numpy().astype(float)
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-5) and log_p.std() > 0.3
    assert np.exp(by_orders(masked())).sum(0) == pytest.approx(np.ones(24), abs=1e-5)


def test_a_causal_prior_draws_grids_as_often_as_it_says():
    prior = raster()
    p = np.exp(prior.bound(GRIDS.reshape(-1, 2, 2), 1, None).numpy().astype(float))
    codes = prior.draw(DRAWS, tf.constant([0, 3]))
    assert p.std() > 0.3 * p.mean() and fits(codes, p) > 1e-4


def test_drawn_codes_are_those_of_the_full_pass_and_the_same_noise():
    prior, seed = scattered(RasterPrior(K, (3, 4), 8, 2, 2)), tf.constant([5, 6])
    codes = tf.reshape(prior.draw(50, seed), [50, 12])
    logits = prior.network(codes)
    for i in range(12):
        here = tf.random.experimental.stateless_fold_in(seed, i)
        noise = code_priors.standard_gumbel([50, K], here)
        np.testing.assert_array_equal(codes[:, i], tf.argmax(logits[:, i] + noise, -1))


@pytest.mark.parametrize("length", [1, 4, 49])
def test_weights_make_all_counts_of_hidden_codes_count_the_same(length):
    u = (np.arange(400_000) + 0.5) / 400_000
    n = np.ceil(length * np.cos(np.pi / 2 * u)).astype(int)
    share = np.bincount(n, minlength=length + 1) / len(u)
    weighed = share * code_priors.weights_of_counts(length)
    np.testing.assert_allclose(weighed, np.append(0, np.full(length, 1 / length)), atol=1e-4)


@pytest.fixture(scope="module")
def terms():
    """The loss and the bound of a prior, of 2,000 draws of hidden places for each grid: [2, 81]."""
    # one grid after the other, as draws of hidden places are spread evenly over a batch
    prior, codes = masked(), np.tile(GRIDS, [2000, 1]).reshape(-1, 2, 2)
    found = tf.function(prior.terms, autograph=False)(codes, tf.constant([1, 2]))
    values = np.array([tf.reduce_sum(t, [1, 2]).numpy() for t in found])
    return prior, values.reshape(2, 2000, len(GRIDS)).transpose(0, 2, 1)


def test_the_bound_is_the_mean_over_orders_and_below_log_p(terms):
    prior, (_, nats) = terms
    expected = -by_orders(prior).mean(1)
    error = nats.std(1) / np.sqrt(2000)
    assert (np.abs(nats.mean(1) - expected) < 5 * error + 1e-4).all()
    log_p = scipy.special.logsumexp(by_orders(prior), 1) - math.log(24)
    assert (expected >= -log_p).all() and (expected + log_p).mean() > 0.01
    assert nats.std(1).mean() > 0.1


def test_the_loss_is_n_times_the_mean_cross_entropy_of_hidden_codes(terms):
    prior, (loss, _) = terms
    table, expected = log_p_given(prior), np.zeros(len(GRIDS))
    radix = (K + 1) ** np.arange(N)[::-1]
    p = 1 / (N * code_priors.weights_of_counts(N)[1:])  # P(n)
    for n in range(1, N + 1):
        for hidden in itertools.combinations(range(N), n):
            seen = GRIDS.copy()
            seen[:, hidden] = K
            chance = p[n - 1] / math.comb(N, n)
            for i in hidden:
                expected -= chance * N / n * table[seen @ radix, i, GRIDS[:, i]]
    error = loss.std(1) / np.sqrt(2000)
    assert (np.abs(loss.mean(1) - expected) < 5 * error + 1e-4).all()


def test_more_draws_keep_the_mean_of_the_bound_and_narrow_it():
    prior, grids = masked(), np.repeat(GRIDS[17:18], 4000, 0).reshape(-1, 2, 2)
    one, many = (prior.bound(grids, tf.constant(k), tf.constant([3, 4])).numpy() for k in (1, 8))
    expected = by_orders(prior).mean(1)[17]
    for found in (one, many):
        assert abs(found.mean() - expected) < 5 * found.std() / np.sqrt(4000)
    assert many.std() < 0.5 * one.std()


def test_with_a_call_for_each_code_grids_are_drawn_as_often_as_p_says():
    for num_steps in (N, N + 5):
        prior = masked(num_steps)
        p = np.exp(by_orders(prior)).mean(1)
        codes = prior.draw_in(None, DRAWS, tf.constant([0, 1]))
        assert p.std() > 0.3 * p.mean() and fits(codes, p) > 1e-4


def test_one_call_draws_all_codes_apart():
    prior = masked()
    unseen = log_p_given(prior)[-1]
    p = np.exp(sum(unseen[i, GRIDS[:, i]] for i in range(N)))
    codes = prior.draw_in(1, DRAWS, tf.constant([0, 1]))
    assert fits(codes, p) > 1e-4
    assert fits(codes, np.exp(by_orders(prior)).mean(1)) < 1e-10  # which is another distribution


class Stub:
    """In place of a network: place i is as sure of code 0 as `sureness[i]` says, whatever is seen.

    It notes what it sees.
    """

    def __init__(self, sureness):
        self.sureness, self.seen = tf.constant(sureness), []

    def __call__(self, codes):
        self.seen.append(codes.numpy().copy())
        logits = tf.stack([self.sureness, *[tf.zeros_like(self.sureness)] * (K - 1)], -1)
        return tf.repeat(logits[None], len(codes), 0)


def seen_by_calls(num_steps, temperature, grid=(3, 4), num_samples=200):
    length = math.prod(grid)
    how = {"num_steps": num_steps, "temperature": temperature}
    prior = MaskedPrior(K, grid, 4, 1, 1, **how)
    prior.network = Stub(np.linspace(9.0, 31.0, length).astype(np.float32))
    settings = tf.constant(prior.num_calls(None)), tf.constant(temperature)
    draw = MaskedPrior._draw.python_function  # eagerly
    codes = draw(prior, num_samples, *settings, tf.constant([1, 2])).numpy()
    return prior.num_calls(None), np.array(prior.network.seen), codes


@pytest.mark.parametrize("num_steps", [1, 2, 3, 5, 8, 11, 12, 40])
def test_hidden_codes_follow_the_cosine_and_each_call_keeps_some(num_steps):
    calls, seen, codes = seen_by_calls(num_steps, 1.0)
    assert calls == len(seen) == min(num_steps, 12) and (codes < K).all()
    hidden = (seen == K).sum(-1)
    assert (hidden == hidden[:, :1]).all() and hidden[0, 0] == 12
    at_most = 12 * np.cos(np.pi / 2 * np.arange(calls) / calls)
    assert (np.diff(hidden[:, 0]) < 0).all() and (hidden[:, 0] <= at_most + 1e-5).all()
    if num_steps <= 5:
        assert (hidden[:, 0] >= np.floor(at_most - 1e-5)).all()
    for before, after in itertools.pairwise([*seen, codes]):  # what is kept stays
        assert (before == after)[before < K].all()


def test_the_surest_codes_are_kept_first_where_there_is_no_noise():
    _, seen, _ = seen_by_calls(4, 0.0)
    for codes in seen:
        hidden = (codes == K).sum(-1)[0]
        assert (codes[:, :hidden] == K).all() and (codes[:, hidden:] == 0).all()
    _, seen, _ = seen_by_calls(4, 1e9)  # and any of them where there is much
    early = (seen[1] < K).mean(0)
    assert early.min() > 0 and early.max() < 0.3
    _, seen, _ = seen_by_calls(12, 0.0)  # as with a call for each code
    assert (seen[1] < K).mean(0).max() < 0.3


def test_a_number_of_steps_that_cannot_be_is_refused():
    for prior, wrong in ((masked(), 0), (masked(), 2.5), (raster(), 3)):
        with pytest.raises(zoo.InputError, match="num_steps"):
            prior.num_calls(wrong)
        with pytest.raises(zoo.InputError, match="num_steps"):
            prior.draw_in(wrong, 2, tf.constant([0, 0]))
    assert (raster().num_calls(None), masked().num_calls(None), masked().num_calls(9)) == (4, 4, 4)
