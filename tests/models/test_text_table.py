"""The table of text vectors: what carries gradient, when it is refreshed, what a step holds in memory."""

from __future__ import annotations

import copy

import pytest
import torch

from divrec.models import Full, TableSettings, TextEncoder
from divrec.models.encoder import pool, text_vectors

WORDS = ["red", "green", "blue", "soft", "hard", "apple", "pear", "plum", "bread", "milk"]
TEXTS = [" ".join([first, *WORDS[:length]]) for first in WORDS for length in range(4)]
T = len(TEXTS)
WEIGHTS = torch.randn(T, 4, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def make_tower(tiny_family, tmp_path):
    def make(refresh="live", live_texts=None, chunk=64, seed=0):
        encoder = TextEncoder(str(tiny_family("bert")))
        whitening, vectors_TW = text_vectors(encoder, TEXTS, 4, tmp_path)
        tower = Full(TableSettings(refresh, live_texts, chunk, seed))(encoder, TEXTS, whitening, vectors_TW)
        for module in tower.modules():  # plain and table computation draw different dropout
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        tower.encoder = encoder
        return tower

    return make


def plain(tower):
    """The computation that the table has to agree with: all texts at once."""
    return tower.whitening(pool(tower.plm, tower.encoder.tokenize(TEXTS)))


def gradient(tower, value):
    for each in tower.parameters():
        each.grad = None
    value.backward()
    return torch.cat([each.grad.flatten() for each in tower.parameters() if each.grad is not None])


def step(tower, *arguments):
    """One step of training."""
    loss = (tower(*arguments) * WEIGHTS[: len(tower(*arguments))]).sum()
    loss.backward()
    with torch.no_grad():
        for each in tower.plm.parameters():
            if each.grad is not None:
                each -= 0.05 * each.grad / each.grad.norm().clamp(min=1e-6)
    tower.zero_grad()


def counted(tower):
    """How often the whole table is computed from now on."""
    calls, original = [], tower.refresh

    def refresh():
        calls.append(tower.steps)
        original()

    tower.refresh = refresh
    return calls


@pytest.mark.parametrize("chunk", [3, 7, 64])
def test_live_without_a_limit_has_the_gradient_of_the_plain_computation(chunk, make_tower):
    tower = make_tower(chunk=chunk)
    expected = gradient(tower, (plain(tower) * WEIGHTS).sum())
    assert torch.allclose(gradient(tower, (tower() * WEIGHTS).sum()), expected, atol=1e-4 * float(expected.abs().max()))
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("texts", [[5], [7, 3, 3, 30], list(range(T))[::-1]])
def test_some_texts_have_the_gradient_of_the_plain_computation_repeats_included(texts, make_tower):
    tower, texts_R = make_tower(chunk=3), torch.tensor(texts)
    expected = gradient(tower, (plain(tower)[texts_R] * WEIGHTS[: len(texts)]).sum())
    got = gradient(tower, (tower(texts_R) * WEIGHTS[: len(texts)]).sum())
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("refresh", ["live", "epoch", "never", 3])
def test_texts_that_are_not_live_carry_no_gradient_and_stand_at_their_place(refresh, make_tower):
    tower, live_R = make_tower(refresh), torch.tensor([30, 2, 2, 11])
    got_TW, reference_TW = tower(None, live_R), plain(tower)
    assert torch.allclose(got_TW, reference_TW, atol=1e-3)
    resting = torch.ones(T, 1)
    resting[live_R] = 0
    mixed_TW = torch.where(resting.bool(), reference_TW.detach(), reference_TW)
    expected = gradient(tower, (mixed_TW * WEIGHTS).sum())
    assert torch.allclose(gradient(tower, (got_TW * WEIGHTS).sum()), expected, atol=1e-4 * float(expected.abs().max()))


def live_texts(tower, *arguments):
    """The texts whose vectors move when the language model does."""
    out_RW = tower(*arguments)
    asked = arguments[0] if arguments and arguments[0] is not None else torch.arange(T)
    grads = [
        torch.autograd.grad(row.sum(), tower.plm.parameters(), retain_graph=True, allow_unused=True) for row in out_RW
    ]
    return [
        int(text)
        for text, each in zip(asked, grads, strict=True)
        if any(one is not None and one.abs().sum() > 0 for one in each)
    ]


def test_of_too_many_live_texts_the_first_carry_gradient(make_tower):
    tower = make_tower("epoch", live_texts=3)
    assert live_texts(tower, None, torch.tensor([9, 4, 9, 30, 2, 1])) == [4, 9, 30]
    assert live_texts(tower, torch.tensor([2, 4, 1, 8]), torch.tensor([9, 4, 9, 30, 2, 1])) == [2, 4, 1]


def test_of_all_texts_a_seeded_choice_carries_gradient_another_one_each_step(make_tower):
    first, again, other = make_tower("epoch", 3), make_tower("epoch", 3), make_tower("epoch", 3, seed=1)
    chosen = chosen_in_steps(first)
    assert all(len(each) == 3 for each in chosen)
    assert chosen[0] != chosen[1]
    assert chosen == chosen_in_steps(again)
    assert chosen[0] != chosen_in_steps(other)[0]


def chosen_in_steps(tower):
    chosen = []
    for number in range(3):
        tower.start_step(number)
        chosen.append(live_texts(tower))
    return chosen


def test_when_no_asked_text_is_live_the_table_answers(make_tower):
    tower = make_tower("epoch")
    assert not tower(torch.tensor([1, 2]), torch.tensor([5])).requires_grad


@pytest.mark.parametrize(
    ("refresh", "at"), [("never", []), ("live", []), (2, [3, 5, 7]), (4, [5]), ("epoch", [7])], ids=str
)
def test_the_table_is_refreshed_by_its_policy(refresh, at, make_tower):
    tower, live_R = make_tower(refresh), torch.tensor([1, 2])
    calls = counted(tower)
    for number in range(7):
        if number == 6:
            tower.start_epoch()
        tower.start_step(number)
        loss = tower(None, live_R).square()[:, 0].sum()
        loss.backward()
        with torch.no_grad():
            for each in tower.plm.parameters():
                each.mul_(1.01)
    assert calls == at


def test_accumulated_batches_are_one_step_and_what_is_asked_before_the_first_is_none(make_tower):
    tower, live_R = make_tower(2), torch.tensor([1, 2])
    calls = counted(tower)
    for number in [None, None, None, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4]:  # None: a gradient is measured, no step begins
        if number is not None:
            tower.start_step(number)
        tower(None, live_R).square()[:, 0].sum().backward()
        with torch.no_grad():
            for each in tower.plm.parameters():
                if number is not None:
                    each.mul_(1.01)
    assert calls == [3, 5]


@pytest.mark.parametrize("refresh", ["never", "epoch", "live", 100])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_an_evaluation_reads_vectors_of_the_weights_as_they_are(refresh, optimizer, make_tower):
    tower = make_tower(refresh)
    before = tower(None, torch.tensor([1]))[5:].detach().clone()
    steps = optimizer(tower.plm.parameters(), lr=0.05)
    for number in range(2):
        tower.start_step(number)
        (tower(None, torch.tensor([1, 2])) * WEIGHTS).sum().backward()
        steps.step()
    tower.eval()
    calls = counted(tower)
    with torch.no_grad():
        assert torch.allclose(tower(), plain(tower), atol=1e-4)
        assert not torch.allclose(tower()[5:], before, atol=1e-2)
        tower(torch.tensor([3, 4]))
    assert len(calls) == 1, "weights that stay as they are need no second look"


def test_loaded_weights_are_seen(make_tower):
    tower, other = make_tower("never").eval(), make_tower("never")
    with torch.no_grad():
        for each in other.plm.parameters():
            each.mul_(1.2)
        tower()
        tower.load_state_dict(other.state_dict())
        assert torch.allclose(tower(), plain(other), atol=1e-4)
        tower.train()
    assert torch.allclose(tower(None, torch.tensor([0])), plain(other), atol=1e-4), "nor does a training start behind"


def test_a_copy_that_is_told_to_forget_sees_what_was_loaded_into_the_original(make_tower):
    """Weights of a copy are new ones, without the history that says whether they have changed."""
    tower, other = make_tower("epoch"), make_tower("epoch")
    with torch.no_grad():
        for each in other.plm.parameters():
            each.mul_(1.2)
        tower.load_state_dict(other.state_dict())
    copied = copy.deepcopy(tower)
    copied.forget()
    assert torch.allclose(copied(None, torch.tensor([0])), plain(other), atol=1e-4)


def test_a_table_is_computed_without_dropout_and_leaves_the_mode_alone(make_tower):
    tower = make_tower(1)
    for module in tower.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    tower.refresh()
    first = tower.table_TW.clone()
    tower.refresh()
    assert torch.equal(first, tower.table_TW)
    assert all(module.training for module in tower.reader.modules())


def held_bytes(tower, *arguments):
    """What the forward pass keeps for the backward pass, each tensor once, without the weights themselves."""
    held = {}
    weights = {each.untyped_storage().data_ptr() for each in tower.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = (storage.nbytes(), tensor)  # kept alive, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = tower(*arguments)
    assert out.requires_grad
    return sum(size for size, _ in held.values())


def test_a_step_holds_the_activations_of_its_live_texts_or_of_no_more_than_a_chunk(make_tower):
    everything = held_bytes(make_tower())
    assert held_bytes(make_tower(chunk=4)) < everything / 5, "recomputed in the backward pass"
    assert held_bytes(make_tower("epoch", live_texts=4)) < everything / 5
    assert held_bytes(make_tower("live", live_texts=4)) < everything / 5


@pytest.mark.parametrize("refresh", ["never", "epoch", 3, "live"])
def test_an_evaluation_leaves_the_table_of_the_training_as_it_was(refresh, make_tower):
    plainly, watched = make_tower(refresh, live_texts=5), make_tower(refresh, live_texts=5)
    for number in range(7):
        for tower in (plainly, watched):
            if number == 5:
                tower.start_epoch()
            tower.start_step(number)
            step(tower)
        watched.eval()
        with torch.no_grad():
            assert torch.allclose(watched(), plain(watched), atol=1e-4)
        watched.train()
        assert torch.equal(watched.table_TW, plainly.table_TW)
    assert all(torch.equal(one, other) for one, other in zip(plainly.parameters(), watched.parameters(), strict=True))


def test_what_an_evaluation_computed_is_not_computed_again_when_the_epoch_begins(make_tower):
    tower = make_tower("epoch", live_texts=5)
    tower.start_step(0)
    step(tower)
    tower.eval()
    with torch.no_grad():
        fresh_TW = tower().clone()
    calls = counted(tower.train())
    tower.start_epoch()
    tower.start_step(1)
    tower(None, torch.tensor([1]))
    assert calls == []
    assert torch.equal(tower.table_TW, fresh_TW)
    assert tower.evaluated_TW is None, "no memory is held for it"


@pytest.mark.parametrize("refresh", ["epoch", 3])
def test_a_resumed_training_goes_on_with_the_same_table(refresh, make_tower):
    unbroken = make_tower(refresh, live_texts=5)
    for number in range(4):
        unbroken.start_step(number)
        step(unbroken)
    resumed = make_tower(refresh, live_texts=5)
    resumed.load_state_dict(unbroken.state_dict())
    resumed.restore(unbroken.snapshot())
    for _ in range(4):
        for tower in (unbroken, resumed):
            tower.start_step(tower.steps)
        assert torch.allclose(unbroken(), resumed(), atol=1e-6)
        step(unbroken)
        step(resumed)


def test_in_mixed_precision_the_table_keeps_its_own(make_tower):
    tower = make_tower("epoch")
    plain_TW = tower.table_TW.clone()
    with torch.autocast("cpu", torch.bfloat16):
        vectors_TW = tower(None, torch.tensor([1, 2]))
        tower.refresh()
    assert gradient(tower, vectors_TW.square().sum()).abs().max() > 0
    assert vectors_TW.dtype == tower.table_TW.dtype == torch.float32
    assert torch.allclose(tower.table_TW, plain_TW, atol=0.1)
    assert not torch.equal(tower.table_TW, plain_TW)


@pytest.mark.slow
def test_a_compiler_is_not_given_the_packed_weights_of_what_carries_no_gradient(make_tower):
    graphs = []

    def collect(graph, _):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    tower, wanted = make_tower("epoch", live_texts=3), make_tower("epoch", live_texts=3)
    tower.compile(backend=collect)
    for each in (tower, wanted):
        step(each)
        each.eval()
    with torch.no_grad():
        torch.testing.assert_close(tower(), wanted())
    called = {str(node.target) for graph in graphs for node in graph.graph.nodes if node.op == "call_function"}
    assert called, "the part with gradient is compiled"
    assert not [name for name in called if "mkldnn" in name or "linear_pointwise" in name]
