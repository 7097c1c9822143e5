"""Sound, text and what networks make of them: spectrograms, token ids, embeddings."""

from __future__ import annotations

import numpy as np

RATE, HOP, WINDOW, FRAMES, MELS = 16_000, 160, 512, 1000, 128
VOCABULARY = 50_000


def log_mel(rng: np.random.Generator) -> np.ndarray:
    """Ten seconds of a voice in noise: log energies, bands first. float32 [128, 1000]."""
    spans = np.lib.stride_tricks.sliding_window_view(voice(rng), WINDOW)[::HOP][:FRAMES]
    power = np.abs(np.fft.rfft(spans * np.hanning(WINDOW), axis=1)) ** 2
    energy = mel_bands().astype(np.float32) @ power.T.astype(np.float32)
    return np.log(energy + np.float32(1e-6))


def voice(rng: np.random.Generator) -> np.ndarray:
    """16-bit samples in -1 to 1: syllables of a gliding pitch with its harmonics, and hiss."""
    t = np.arange(FRAMES * HOP + WINDOW) / RATE

    def swing(hertz: float) -> np.ndarray:
        return np.sin(2 * np.pi * (hertz * t + rng.random()))

    pitch = 115 + 28 * swing(0.7) + 18 * swing(2.1)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(k * phase) / k**1.1 for k in range(1, 25))
    loud = (swing(2.3) + 0.3).clip(0, 1) * (swing(0.23) + 0.8).clip(0, 1)
    hiss = rng.normal(0, 1, t.size) * (0.003 + 0.02 * swing(3.1).clip(0, 1) ** 4)
    return ((0.2 * tone * loud + hiss) * 32767).round().clip(-32768, 32767) / 32768


def mel_bands() -> np.ndarray:
    """Triangles evenly spaced on the mel scale from 20 Hz: [128, 257]."""
    mel = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + RATE / 1400), MELS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    low, middle, high = (edges[i : i + MELS, None] for i in range(3))
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rise, fall = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.minimum(rise, fall).clip(0)


def embedding(rng: np.random.Generator) -> np.ndarray:
    """What an encoder says of one text or face. float32 [1024]."""
    return rng.normal(0, 1, 1024).astype(np.float32)


def tokens(rng: np.random.Generator) -> np.ndarray:
    """Ids of a text's tokens, as often as Zipf's law says, 0 after its end. int64 [512].

    Which id a token has is the tokenizer's affair: the same in all variants.
    """
    ids = np.random.default_rng(2_147).permutation(VOCABULARY)
    often = 1 / (np.arange(VOCABULARY) + 2.7) ** 1.02
    text = ids[rng.choice(VOCABULARY, 512, p=often / often.sum())]
    text[rng.integers(380, 560) :] = 0
    return text
