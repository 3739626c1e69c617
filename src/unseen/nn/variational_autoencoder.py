"""A small fully connected variational autoencoder: the network and its errors.

Used by the ``vae`` and ``anomaly-aware-vae`` detectors. For one hidden layer of width h and a latent space of
size k the layers are F → h → (μ, log σ²) of size k each → h → F, with ReLU after the hidden layers.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.checks import check_choice, check_int
from unseen.errors import InputError, ParameterError
from unseen.nn.losses.elbo import RECONSTRUCTIONS, Reconstruction
from unseen.nn.threads import suitable_threads
from unseen.types import FloatArray

LOG_VARIANCE_LIMIT = 20.0
"""log σ² is held within ± this, so that exp never overflows on an outlier."""

_SCORING_CELLS = 262_144
"""About how many numbers go through the network at a time when scoring; they stay in the cache."""


class VariationalAutoencoder(nn.Module):
    """Fully connected VAE with a mirrored decoder.

    Parameters
    ----------
    n_features : int
        F.
    hidden : sequence of int
        Widths of the encoder's hidden layers; the decoder has them in reverse order.
    n_latent : int
        k.
    sigmoid : bool
        Whether a final sigmoid brings the reconstruction into [0, 1]. ``forward`` gives its logits.
    generator : torch.Generator or None
        Draws the first weights, uniform in ± 1/√fan-in. None: all weights are 0, to be filled by
        ``load_state_dict``.
    """

    def __init__(
        self,
        n_features: int,
        hidden: Sequence[int],
        n_latent: int,
        *,
        sigmoid: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.sigmoid = sigmoid
        self.encoder = _layers([n_features, *hidden, 2 * n_latent])
        self.decoder = _layers([n_latent, *reversed(hidden), n_features])
        _initialise(self, generator)

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and log σ² of q(z|x), each of shape (n_rows, n_latent)."""
        mean, log_variance = self.encoder(rows).split(self.n_latent, dim=1)
        return mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)

    def forward(self, rows: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, sample z = μ + σ ε, decode.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
        noise : Tensor of shape (n_rows, n_latent)
            ε, drawn from N(0, 1).

        Returns
        -------
        output : Tensor of shape (n_rows, n_features)
            Before a final sigmoid.
        mean, log_variance : Tensor of shape (n_rows, n_latent)
        """
        mean, log_variance = self.encode(rows)
        latent = torch.addcmul(mean, (0.5 * log_variance).exp(), noise)
        return self.decoder(latent), mean, log_variance

    def finish(self, output: Tensor) -> Tensor:
        """Turn the decoder's output into the reconstruction x̂ (a sigmoid where there is one)."""
        return output.sigmoid() if self.sigmoid else output

    def reconstruct(self, rows: Tensor) -> Tensor:
        """Return x̂ decoded from z = μ(x), without sampling, shape (n_rows, n_features)."""
        mean = self.encoder(rows)[:, : self.n_latent]
        return self.finish(self.decoder(mean))


def reconstruction_errors(
    network: VariationalAutoencoder, X: FloatArray, device: torch.device
) -> NDArray[np.float64]:
    """Return E(x) = Σ_j (x_j − x̂_j)² of each row, with z = μ(x), shape (n_rows,).

    Parameters
    ----------
    network : VariationalAutoencoder
        Trained; stays where it is.
    X : float array of shape (n_rows, n_features)
    device : torch.device
        Where to compute, in float32; the sum over features is in float64.
    """
    errors = np.empty(len(X), dtype=np.float64)
    _squared_errors(network, X, device, errors, None)
    return errors


def errors_by_feature(
    network: VariationalAutoencoder, X: FloatArray, device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return E(x) of each row, and its terms (x_j − x̂_j)².

    Parameters
    ----------
    network, X, device
        As in :func:`reconstruction_errors`.

    Returns
    -------
    errors : float64 array of shape (n_rows,)
        Bit for bit those of :func:`reconstruction_errors`.
    squares : float32 array of shape (n_rows, n_features)
        Summed in float64 they give ``errors``.
    """
    errors = np.empty(len(X), dtype=np.float64)
    squares = np.empty(X.shape, dtype=np.float32)
    _squared_errors(network, X, device, errors, squares)
    return errors, squares


@torch.inference_mode()
def _squared_errors(
    network: VariationalAutoencoder,
    X: FloatArray,
    device: torch.device,
    errors: NDArray[np.float64],
    squares: NDArray[np.float32] | None,
) -> None:
    """Fill ``errors`` with the sums, and ``squares`` (if there is one) with the terms."""
    network = _on(network, device)
    with suitable_threads(network):
        for start, stop in _chunks(X):
            rows = to_tensor(X[start:stop], device)
            terms = network.reconstruct(rows).sub_(rows).square_()
            errors[start:stop] = terms.sum(dim=1, dtype=torch.float64).cpu().numpy()
            if squares is not None:
                squares[start:stop] = terms.cpu().numpy()


@torch.inference_mode()
def latent_means(network: VariationalAutoencoder, X: FloatArray, device: torch.device) -> NDArray[np.float64]:
    """Return μ(x) of each row, shape (n_rows, n_latent).

    Parameters
    ----------
    network, X, device
        As in :func:`reconstruction_errors`.
    """
    network = _on(network, device)
    means = np.empty((len(X), network.n_latent), dtype=np.float64)
    with suitable_threads(network):
        for start, stop in _chunks(X):
            means[start:stop] = network.encode(to_tensor(X[start:stop], device))[0].cpu().numpy()
    return means


def check_architecture(owner: object, *, hidden: object, latent: object, loss: object) -> None:
    """Raise ParameterError unless widths and latent size are ints >= 1 and the loss is a known one.

    Parameters
    ----------
    owner : object
        Whose parameters these are, for the message.
    hidden, latent, loss : object
        As given to the owner's constructor.
    """
    if not isinstance(hidden, tuple | list) or not hidden:
        name = type(owner).__name__
        raise ParameterError(f"{name}: hidden must be a non-empty tuple of ints >= 1, got {hidden!r}.")
    for width in hidden:
        check_int(owner, "hidden", width, minimum=1)
    check_int(owner, "latent", latent, minimum=1)
    check_choice(owner, "loss", loss, RECONSTRUCTIONS)


def check_targets(owner: object, X: FloatArray, loss: Reconstruction) -> None:
    """Raise InputError if the loss is ``"bce"`` and a training value lies outside [0, 1].

    Parameters
    ----------
    owner : object
        Who asks, for the message.
    X : float array of shape (n_rows, n_features)
        Training rows as the network sees them.
    loss : {"mse", "bce"}
        The reconstruction term.
    """
    if loss == "bce" and (X.min() < 0 or X.max() > 1):
        raise InputError(
            f"{type(owner).__name__}: loss='bce' needs values in [0, 1], got {X.min():g} to {X.max():g}; "
            "scale the columns into [0, 1] or use loss='mse'."
        )


def to_tensor(X: FloatArray, device: torch.device) -> Tensor:
    """Return ``X`` as a float32 tensor on ``device``; read-only arrays are copied."""
    array = np.ascontiguousarray(X, dtype=np.float32)
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array).to(device)


def _chunks(X: FloatArray) -> list[tuple[int, int]]:
    step = max(1, _SCORING_CELLS // X.shape[1])
    return [(start, min(start + step, len(X))) for start in range(0, len(X), step)]


def _on(network: VariationalAutoencoder, device: torch.device) -> VariationalAutoencoder:
    """The network itself if it is on ``device``, else a copy that is."""
    if next(network.parameters()).device == device:
        return network
    return copy.deepcopy(network).to(device)


def _layers(widths: list[int]) -> nn.Sequential:
    """Linear layers between these widths, with ReLU between them but not after the last.

    Under ``torch.device("meta")`` they take no memory, so that a saved network's shapes can be checked first.
    """
    device = "meta" if torch.get_default_device().type == "meta" else "cpu"
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear: nn.Module = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, fan_in, fan_out, device=device
        )
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@torch.no_grad()
def _initialise(network: nn.Module, generator: torch.Generator | None) -> None:
    """Fill all linear layers: uniform in ± 1/√fan-in from the generator, or zeros without one."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            for parameter in (layer.weight, layer.bias):
                if generator is None:
                    parameter.zero_()
                else:
                    parameter.uniform_(-bound, bound, generator=generator)
