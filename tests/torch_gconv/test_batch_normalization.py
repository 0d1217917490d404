"""Batch normalization in PyTorch: one set of statistics for all elements of the stabilizer."""

import torch

from torch_gconv import GBatchNorm


def test_each_channel_is_normalized_over_batch_stabilizer_and_pixels():
    x = 3 * torch.randn(4, 3, 8, 5, 5, generator=torch.manual_seed(0)) + 1
    y = GBatchNorm(3)(x).detach()
    assert y.shape == x.shape
    torch.testing.assert_close(y.mean(dim=(0, 2, 3, 4)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(dim=(0, 2, 3, 4), correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert y.mean(dim=(0, 3, 4)).abs().max() > 1e-2  # not each orientation by itself


def test_any_layout_is_taken_and_the_state_is_batch_norms():
    norm = GBatchNorm(3, eps=1e-3, momentum=0.5)
    x = torch.randn(4, 8, 3, 5, 5, generator=torch.manual_seed(0)).transpose(1, 2)
    norm.eval()
    torch.testing.assert_close(norm(x), norm(x.contiguous()))
    assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
