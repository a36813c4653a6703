"""Writes the files of torch, and what torch computes with them: `data/torch/`, `data/torch.npz`.

Made with torch 2.15.0, safetensors 0.8.0, Python 3.12::

    pip install torch safetensors numpy
    python tests/python/interop/make_torch.py
"""

from __future__ import annotations

import collections
import warnings
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from recording import Array, Random, Recorder
from torch_models import Chain, Tagger, cells, chains, options, randomized, sequences

BATCH, TIME = 3, 7


def main() -> None:
    torch.set_num_threads(1)
    record = Recorder("torch", torch=torch.__version__, safetensors=safetensors.__version__)
    with torch.no_grad():
        add_sequences(record)
        add_cells(record)
        add_chains(record)
        add_wrapped(record)
        add_dtypes(record)
        add_shared_storages(record)
        add_scripts(record)
        add_safetensors(record)
        add_refused(record)
    record.write()


def save(record: Recorder, found: Any, file: str, **how: Any) -> None:
    torch.save(found, record.path(file), **how)


def inputs_of(name: str, module: nn.Module) -> Array:
    first = next(iter(module.children()), module)
    if isinstance(first, nn.Embedding):
        return Random(name).rng.integers(0, first.num_embeddings, (BATCH, TIME))
    if isinstance(first, nn.BatchNorm1d):
        return Random(name).normal(BATCH, first.num_features, 21, dtype="float32")
    if isinstance(first, nn.Linear):
        return Random(name).normal(BATCH, first.in_features, dtype="float32")
    return Random(name).normal(BATCH, TIME, first.input_size, dtype="float32")


def states_of(name: str, rnn: nn.Module, batch: int) -> tuple[torch.Tensor, ...]:
    """An initial state, in torch's shapes."""
    rows = rnn.num_layers * (2 if rnn.bidirectional else 1)
    sizes = [rnn.proj_size or rnn.hidden_size]
    if rnn.mode == "LSTM":
        sizes.append(rnn.hidden_size)
    random = Random(name + " states")
    return tuple(
        torch.from_numpy(random.normal(rows, batch, size, dtype="float32")) for size in sizes
    )


def add_sequences(record: Recorder) -> None:
    """`input_0` gives `output_0` and the final states, `final_0`, ...; from `initial_0`, ...,
    it gives `output_1` and `final_from_initial_0`, ..."""
    for name, module in sequences().items():
        rnn = randomized(module, name)
        shape = (BATCH, TIME) if rnn.batch_first else (TIME, BATCH)
        x = Random(name).normal(*shape, rnn.input_size, dtype="float32")
        initial = states_of(name, rnn, BATCH)
        outputs, final = rnn(torch.from_numpy(x))
        others, other_final = rnn(
            torch.from_numpy(x), initial if rnn.mode == "LSTM" else initial[0]
        )
        arrays: dict[str, Array] = {}
        for key, states in (
            ("initial", initial),
            ("final", final),
            ("final_from_initial", other_final),
        ):
            for i, state in enumerate(states if isinstance(states, tuple) else [states]):
                arrays[f"{key}_{i}"] = state.numpy()
        save(record, rnn.state_dict(), f"torch/{name}.pt")
        about = {"order": [{"name": "", "kind": type(rnn).__name__, **options(rnn)}]}
        record.add(name, f"torch/{name}.pt", [x], [outputs, others], about, arrays)


def add_cells(record: Recorder) -> None:
    """Cells run over the second axis of `input_0`; `output_0` holds h after each step."""
    for name, module in cells().items():
        cell = randomized(module, name)
        x = Random(name).normal(BATCH, TIME, cell.input_size, dtype="float32")
        state, outputs = None, []
        for step in range(TIME):
            state = cell(torch.from_numpy(x[:, step]), state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        save(record, cell.state_dict(), f"torch/{name}.pt")
        about = {"order": [{"name": "", "kind": type(cell).__name__, **options(cell)}]}
        record.add(name, f"torch/{name}.pt", [x], [torch.stack(outputs, 1)], about)


def add_chain(record: Recorder, name: str, file: str, chain: Chain, **about: Any) -> None:
    x = inputs_of(name, chain)
    output = chain(torch.from_numpy(x))
    record.add(name, file, [x], [output], {"order": chain.order(), **about})


def add_chains(record: Recorder) -> None:
    for name, chain in chains().items():
        save(record, randomized(chain, name).state_dict(), f"torch/{name}.pt")
        add_chain(record, name, f"torch/{name}.pt", chain)


def add_wrapped(record: Recorder) -> None:
    """The same model as trainers wrap it: each file has its own random weights."""

    def fresh(name: str) -> Chain:
        return randomized(chains()["forecaster"], name)

    def keep(name: str, chain: Chain, found: Any, prefix: str, **about: Any) -> None:
        save(record, found, f"torch/{name}.pt")
        add_chain(record, name, f"torch/{name}.pt", chain, prefix=prefix, **about)

    chain = fresh("data_parallel")
    keep("data_parallel", chain, nn.DataParallel(chain).state_dict(), "module.")
    chain = fresh("compiled")
    keep("compiled", chain, torch.compile(chain).state_dict(), "_orig_mod.")
    chain = fresh("compiled_parallel")
    both = torch.compile(nn.DataParallel(chain)).state_dict()
    keep("compiled_parallel", chain, both, "_orig_mod.module.")
    chain = fresh("lightning")
    keep("lightning", chain, lightning(chain), "model.", nested="state_dict")
    chain = fresh("training")
    optimizer = torch.optim.Adam(chain.parameters(), lr=2e-3)
    trained(chain, optimizer)
    found = {
        "epoch": 4,
        "model": chain.state_dict(),
        "optimizer": optimizer.state_dict(),
        "loss": 0.25,
    }
    keep("training", chain.eval(), found, "", nested="model")
    chain = fresh("legacy")
    save(record, chain.state_dict(), "torch/legacy.pth", _use_new_zipfile_serialization=False)
    add_chain(record, "legacy", "torch/legacy.pth", chain, prefix="", layout="before torch 1.6")


def trained(chain: Chain, optimizer: torch.optim.Optimizer) -> None:
    x = torch.from_numpy(inputs_of("trained", chain))
    with torch.enable_grad():
        for _ in range(3):
            optimizer.zero_grad()
            chain(x).square().mean().backward()
            optimizer.step()


def lightning(chain: Chain) -> dict[str, Any]:
    """A checkpoint with the keys of Lightning 2: weights below `state_dict`, under `model.`."""
    optimizer = torch.optim.AdamW(chain.parameters(), lr=1e-3)
    trained(chain, optimizer)
    weights = collections.OrderedDict(
        (f"model.{key}", value) for key, value in chain.state_dict().items()
    )
    return {
        "epoch": 3,
        "global_step": 96,
        "pytorch-lightning_version": "2.5.1",
        "state_dict": weights,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3}}}},
        "callbacks": {"EarlyStopping{'monitor': 'val_loss', 'mode': 'min'}": {"wait_count": 1}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"hidden_size": 7, "lr": 1e-3, "dropout": 0.3},
    }


def add_dtypes(record: Recorder) -> None:
    """float64 outputs are computed in it; those of the short ones in float32 from their weights."""
    for name, dtype in (
        ("double", torch.float64),
        ("half", torch.float16),
        ("bfloat16", torch.bfloat16),
    ):
        chain = randomized(chains()["forecaster"], name).to(dtype)
        save(record, chain.state_dict(), f"torch/{name}.pt")
        x = torch.from_numpy(inputs_of(name, chain))
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        output = chain.to(wide)(x.to(wide))
        about = {"order": chain.order(), "dtype": str(dtype).removeprefix("torch.")}
        record.add(name, f"torch/{name}.pt", [x], [output], about)


def add_shared_storages(record: Recorder) -> None:
    """Tensors that are views: of one flat storage, transposed, repeated, two names of one."""
    name = "views"
    chain = randomized(chains()["forecaster"], name)
    weights = chain.state_dict()
    flat = torch.cat(
        [torch.full((5,), 99.0)] + [weights[key].reshape(-1) for key in weights if "rnn" in key]
    )
    start, found = 5, collections.OrderedDict()
    for key, value in weights.items():
        if "rnn" in key:
            found[key] = flat[start : start + value.numel()].view(value.shape)
            start += value.numel()
        elif value.ndim == 2:
            found[key] = value.t().contiguous().t()
        else:
            value.fill_(0.375)
            found[key] = torch.tensor([0.375]).expand(value.shape)
    wide = torch.full((found["head.weight"].shape[0], 11), -7.0)
    wide[:, 3:8] = found["head.weight"]
    found["head.weight"] = wide[:, 3:8]
    save(record, found, f"torch/{name}.pt")
    add_chain(record, name, f"torch/{name}.pt", chain)

    name = "tied"
    chain = randomized(
        Chain(("first", nn.Linear(5, 5)), ("tanh", nn.Tanh()), ("second", nn.Linear(5, 5))), name
    )
    chain.second.weight = chain.first.weight
    save(record, chain.state_dict(), f"torch/{name}.pt")
    add_chain(record, name, f"torch/{name}.pt", chain)


def add_scripts(record: Recorder) -> None:
    for name, compiled in (("scripted", torch.jit.script), ("traced", None)):
        tagger = randomized(Tagger(), name)
        ids = Random(name).rng.integers(0, 11, (BATCH, TIME))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = (
                compiled(tagger) if compiled else torch.jit.trace(tagger, torch.from_numpy(ids))
            )
            script.save(str(record.path(f"torch/{name}.pt")))
        order = Chain(*tagger.named_children()).order()
        output = tagger(torch.from_numpy(ids))
        record.add(name, f"torch/{name}.pt", [ids], [output], {"order": order})
    name = "scripted_cell"
    cell = torch.jit.script(randomized(nn.LSTMCell(3, 4), name))
    cell.save(str(record.path(f"torch/{name}.pt")))
    x = Random(name).normal(BATCH, 3, dtype="float32")
    h, c = cell(torch.from_numpy(x))
    about = {
        "order": [{"name": "", "kind": "LSTMCell", "input_size": 3, "hidden_size": 4, "bias": True}]
    }
    record.add(name, f"torch/{name}.pt", [x], [h, c], about)


def add_safetensors(record: Recorder) -> None:
    for name in ("tagger", "convolution"):
        chain = randomized(chains()[name], f"{name} safetensors")
        file = f"torch/{name}.safetensors"
        safetensors.torch.save_file(chain.state_dict(), record.path(file), {"format": "pt"})
        add_chain(record, f"{name}_safetensors", file, chain)
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16)):
        chain = randomized(chains()["forecaster"], f"{name} safetensors").to(dtype)
        file = f"torch/{name}.safetensors"
        safetensors.torch.save_file(chain.state_dict(), record.path(file))
        add_chain(record, f"{name}_safetensors", file, chain.float(), dtype=name)


def add_refused(record: Recorder) -> None:
    """Files that a reader without torch cannot, or should not, open."""
    module = randomized(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), "module")
    save(record, module, "torch/whole_module.pt")
    record.refused("whole_module", "torch/whole_module.pt", "its outputs are computed by the test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(randomized(nn.Linear(5, 3), "quantized")), {nn.Linear}
        )
    save(record, quantized.state_dict(), "torch/quantized.pt")
    record.refused("quantized", "torch/quantized.pt", "packed weights of eight bits")
    sparse = torch.eye(4).to_sparse()
    save(record, {"weight": sparse}, "torch/sparse.pt")
    record.refused("sparse", "torch/sparse.pt", "a sparse tensor")
    save(record, {"weight": np.arange(6.0, dtype="float32")}, "torch/numpy.pt")
    record.refused("numpy", "torch/numpy.pt", "an array of NumPy, which is a pickled function")
    parametrized = nn.Sequential(randomized(nn.Linear(3, 4), "parametrized"))
    nn.utils.parametrizations.weight_norm(parametrized[0])
    save(record, parametrized.state_dict(), "torch/weight_norm.pt")
    record.refused("weight_norm", "torch/weight_norm.pt", "weights behind a parametrization")


if __name__ == "__main__":
    main()
