"""What people would use instead: the same networks in PyTorch.

They are written as PyTorch's users are told to for a CPU: maps with channels last, the fused Adam, gradients set to
none, `torch.inference_mode` where nothing is learned.
"""

import time

import numpy as np
import torch
from benchmarking.ceilings import ENCODING_BATCH, RNN_ROWS, RNN_STEPS, VAE_BATCH
from benchmarking.dreams import (
    HIDDEN,
    POLICY,
    POPSIZE,
    TEMPERATURE,
    Z,
    arrays,
    candidates,
    first_frames,
    rollouts,
    time_limit,
)
from benchmarking.parts import random_frames, rnn_batch
from benchmarking.workers import CORES, Job, Measure
from torch import nn
from torch.nn import functional as F

MIXTURES = 5
HALVINGS, TRIAL_STEPS = 5, 40  # of the rows a dream is tried with, and the steps of each trial


class VAE(nn.Module):
    """V."""

    def __init__(self, z_size: int = Z):
        super().__init__()
        channels = (3, 32, 64, 128, 256)
        pairs = zip(channels, channels[1:], strict=False)
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2) for a, b in pairs)
        self.mu, self.logvar, self.dense = nn.Linear(1024, z_size), nn.Linear(1024, z_size), nn.Linear(z_size, 1024)
        layers = ((1024, 128, 5), (128, 64, 5), (64, 32, 6), (32, 3, 6))
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(a, b, kernel, stride=2) for a, b, kernel in layers)
        self.to(memory_format=torch.channels_last)

    def encode(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames uint8 [B, 64, 64, 3] to mu and logvar [B, Z]."""
        x = frames.permute(0, 3, 1, 2).float() / 255
        for layer in self.encoder:
            x = F.relu(layer(x))
        x = x.permute(0, 2, 3, 1).flatten(1)
        return self.mu(x), self.logvar(x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z [B, Z] to frames [B, 3, 64, 64]."""
        x = self.dense(z)[:, :, None, None].contiguous(memory_format=torch.channels_last)
        for layer in self.decoder[:-1]:
            x = F.relu(layer(x))
        return torch.sigmoid(self.decoder[-1](x))

    def loss(self, frames: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """Squared error and floored divergence, as ours."""
        mu, logvar = self.encode(frames)
        reconstruction = self.decode(mu + torch.exp(logvar / 2) * eps)
        error = (reconstruction - frames.permute(0, 3, 1, 2).float() / 255).square().sum((1, 2, 3)).mean()
        kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)
        return error + kl.clamp(min=0.5 * mu.shape[1]).mean()


class MDNRNN(nn.Module):
    """Doom's M."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(Z + 2, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 3 * MIXTURES * Z + 1)

    def load(self, weights: list[np.ndarray]) -> None:
        """Our arrays: LSTM kernel, recurrent kernel, bias, head kernel, bias; both order the gates i, f, g, o."""
        kernel, recurrent, bias, head, head_bias = map(torch.from_numpy, weights)
        values = kernel.T, recurrent.T, bias, torch.zeros_like(bias), head.T, head_bias
        with torch.no_grad():
            for parameter, value in zip(self.parameters(), values, strict=True):
                parameter.copy_(value)

    def loss(self, z: torch.Tensor, action: torch.Tensor, restart: torch.Tensor, done: torch.Tensor) -> torch.Tensor:
        """As ours, but that the state is not cleared where an episode starts: `nn.LSTM` is faster without."""
        hs, _ = self.lstm(torch.cat([z[:, :-1], action, restart[..., None]], -1))
        raw = self.head(hs)
        logmix, mean, logstd = raw[..., :-1].unflatten(-1, (3, MIXTURES, Z)).unbind(-3)
        distance = (z[:, 1:, None] - mean) * torch.exp(-logstd)
        density = torch.log_softmax(logmix, -2) - logstd - 0.5 * distance.square() - 0.5 * np.log(2 * np.pi)
        ends = F.binary_cross_entropy_with_logits(raw[..., -1], done, pos_weight=torch.tensor(10.0))
        return ends - torch.logsumexp(density, -2).mean()


def vae_training(job: Job) -> Measure:
    """Updates of V on the same batches as ours."""
    torch.set_num_threads(job.threads)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    frames, eps = random_frames(VAE_BATCH), np.zeros((VAE_BATCH, Z), np.float32)

    def update() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(torch.from_numpy(frames), torch.from_numpy(eps))
        loss.backward()
        optimizer.step()
        return loss.item()

    update()
    return lambda number: job.rates(update, VAE_BATCH)


def vae_encoding(job: Job) -> Measure:
    """Encoding the same batches as ours."""
    torch.set_num_threads(job.threads)
    model, frames = VAE().eval(), random_frames(ENCODING_BATCH)

    def encode() -> np.ndarray:
        with torch.inference_mode():
            return model.encode(torch.from_numpy(frames))[0].numpy()

    encode()
    return lambda number: job.rates(encode, ENCODING_BATCH)


def rnn_training(job: Job) -> Measure:
    """Updates of M on the same batches as ours, by `nn.LSTM`, gradients clipped by value."""
    torch.set_num_threads(job.threads)
    model, batch = MDNRNN(), rnn_batch(RNN_ROWS, RNN_STEPS)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    parts = [torch.from_numpy(part) for part in (batch.z, batch.action, batch.restart, batch.done)]

    def update() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(*parts)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        return loss.item()

    update()
    return lambda number: job.rates(update, RNN_ROWS * RNN_STEPS)


class Dream:
    """The dream as a loop in Python over a batch: every row goes on, counted or not, until the last one has ended."""

    def __init__(self, weights: list[np.ndarray]):
        model = MDNRNN()
        model.load(weights)
        self.head, self.cell = model.head, nn.LSTMCell(Z + 2, HIDDEN)
        self.first, self.rng = first_frames(), np.random.default_rng(0)
        self.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.lstm.state_dict().items()})

    def step(self, state: tuple, policy: torch.Tensor, uniforms: torch.Tensor, normals: torch.Tensor) -> tuple:
        """Return a step of z [B, Z], h, c [B, H], restart [B, 1] with policies [B, P]: the next state, and done [B]."""
        z, h, c, restart = state
        action = torch.tanh((torch.cat([z, c, h], 1) * policy).sum(1, keepdim=True))
        h, c = self.cell(torch.cat([z, action, restart], 1), (h, c))
        raw = self.head(h)
        logmix, mean, logstd = raw[:, :-1].unflatten(1, (3, MIXTURES, Z)).unbind(1)
        cumulative = torch.softmax(logmix / TEMPERATURE, 1).cumsum(1)
        chosen = (cumulative[:, :-1] <= uniforms[:, None]).sum(1, keepdim=True)
        mean, logstd = mean.gather(1, chosen)[:, 0], logstd.gather(1, chosen)[:, 0]
        return (mean + torch.exp(logstd) * TEMPERATURE**0.5 * normals, h, c, torch.zeros_like(restart)), raw[:, -1] > 0

    @torch.inference_mode()
    def lengths(self, policies: np.ndarray, limit: int, endless: bool = False) -> torch.Tensor:
        """Return how long each dream [B] lasts; `endless`: all steps up to the limit are done whatever ends."""
        policy, rows = torch.from_numpy(policies), len(policies)
        first, zero = np.stack([self.first.draw(self.rng) for _ in range(rows)]), torch.zeros(rows, HIDDEN)
        state, lived = (torch.from_numpy(first), zero, zero, torch.ones(rows, 1)), torch.full((rows,), limit)
        for step in range(1, limit + 1):
            state, done = self.step(state, policy, torch.rand(rows, Z), torch.randn(rows, Z))
            lived = torch.where(done, lived.clamp(max=step), lived)
            if not endless and bool((lived < step + 1).all()):
                break
        return lived


def dream(job: Job) -> Measure:
    """This core's share of generations like ours, in batches of the size that does best; what others do is told too."""
    torch.set_num_threads(job.threads)
    player, mine = Dream(arrays(job.folder)), slice(CORES.index(job.core), None, len(CORES))
    largest = POPSIZE * rollouts(job) // len(CORES)
    batches = [largest >> halvings for halvings in reversed(range(HALVINGS))]

    def play(generation: int, rows: int) -> tuple[float, np.ndarray]:  # seconds, lengths
        policies = np.repeat(candidates(generation), rollouts(job), 0)[mine]
        start = time.perf_counter()
        lengths = [
            player.lengths(policies[i : i + rows], time_limit(job)).numpy() for i in range(0, len(policies), rows)
        ]
        return time.perf_counter() - start, np.concatenate(lengths)

    def rate_of_all(rows: int) -> float:
        policies, start = np.zeros((rows, POLICY), np.float32), time.perf_counter()
        player.lengths(policies, TRIAL_STEPS, endless=True)
        return rows * TRIAL_STEPS / (time.perf_counter() - start)

    lengths = play(0, largest)[1]
    rates = {rows: max(rate_of_all(rows) for _ in range(2)) for rows in batches}
    useful = {rows: rates[rows] * useful_share(lengths, rows) for rows in batches}
    best = max(useful, key=useful.__getitem__)
    told = {f"all steps of {rows} rows rate": rate for rows, rate in rates.items()}
    told |= {f"useful steps of {rows} rows rate": rate for rows, rate in useful.items()} | {"batch": best}

    def measure(number: int) -> dict[str, float]:
        seconds, lengths = play(number, best)
        useful = float(lengths.sum() / seconds)
        every = {"rate": useful, "all steps rate": useful / useful_share(lengths, best)}
        return every | {"seconds": seconds, "length": float(lengths.mean())} | told

    return measure


def useful_share(lengths: np.ndarray, rows: int) -> float:
    """Return the steps that count among those done, where a batch of so many rows goes on to its last one's end."""
    done = sum(len(part) * part.max() for part in np.split(lengths, range(rows, len(lengths), rows)))
    return float(lengths.sum() / done)
