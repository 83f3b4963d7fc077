"""Networks of several kinds, and the recipe that quantizes them in torchq and in torch.ao."""

import copy

import torch
from torch import nn
from torch.nn import functional as F


class ResidualNet(nn.Module):
    """Convolutions with batch norm and relu, residual sums, pools, and a linear layer."""

    shape = (4, 3, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(8)
        self.conv3, self.pool = nn.Conv2d(8, 16, 1), nn.MaxPool2d(2)
        self.average, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        x = self.pool(F.relu(x + y))
        z = self.conv3(x)
        z = torch.add(z, z) + self.conv3(x)
        return self.fc(torch.flatten(self.average(z), 1))


class Perceptron(nn.Module):
    """Linear layers and functions, and two results."""

    shape = (6, 16)

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.rest = (
            nn.Linear(16, 32),
            nn.BatchNorm1d(32),
            nn.Sequential(nn.Linear(8, 8), nn.ReLU()),
        )
        self.weight, self.bias = nn.Parameter(torch.randn(8, 32) / 4), nn.Parameter(torch.randn(8))

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        x = F.relu(F.linear(x, self.weight, self.bias))
        return {"out": self.rest(x), "features": [x, F.linear(x, self.weight[:, :8])]}


class EncoderLayer(nn.Module):
    """A transformer block: layer norm, attention of two heads with matmul and softmax, and a feed-forward part."""

    shape = (2, 5, 16)

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2, self.softmax = nn.LayerNorm(16), nn.LayerNorm(16), nn.Softmax(dim=-1)
        self.query, self.key, self.value, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.up, self.act, self.down, self.drop = nn.Linear(16, 32), nn.Hardswish(), nn.Linear(32, 16), nn.Dropout(0.1)

    def heads(self, x):
        return x.view(x.size(0), x.size(1), 2, 8).transpose(1, 2)

    def forward(self, x):
        y = self.norm1(x)
        query, key, value = (self.heads(layer(y)) for layer in (self.query, self.key, self.value))
        weights = self.softmax(torch.matmul(query, key.transpose(-2, -1)) * 0.35)
        mixed = torch.matmul(weights, value).transpose(1, 2).reshape(x.size(0), x.size(1), 16)
        x = x + self.drop(self.out(mixed))
        return x + self.down(self.act(self.up(self.norm2(x))))


class UNet(nn.Module):
    """Down and up again: strided and transposed convolutions, interpolation, and cat."""

    shape = (2, 3, 8, 8)

    def __init__(self):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.up = nn.Sequential(nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.BatchNorm2d(8))
        self.narrow, self.mix, self.out = nn.Conv2d(16, 8, 1), nn.Conv2d(24, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        high = self.down1(x)
        low = self.down2(high)
        x = torch.cat([self.up(low), high, F.interpolate(self.narrow(low), scale_factor=2.0, mode="nearest")], dim=1)
        return torch.sigmoid(self.out(F.relu(self.mix(x))))


class BagOfWords(nn.Module):
    """An embedding bag and linear layers; takes indexes."""

    shape = None

    def __init__(self):
        super().__init__()
        self.bag, self.fc1, self.fc2 = nn.EmbeddingBag(20, 16, mode="sum"), nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, indexes):
        return torch.tanh(self.fc2(F.relu(self.fc1(self.bag(indexes)))))


def inputs(net, seed):
    generator = torch.Generator().manual_seed(seed)
    if net.shape is None:
        return torch.randint(0, 20, (4, 6), generator=generator)
    return torch.randn(net.shape, generator=generator)


def built(net, seed=0):
    """A float net in eval mode, whose batch norms have seen data."""
    torch.manual_seed(seed)
    model = net().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


def prepared(library, model, mapping, **config):
    """The prepared model, calibrated with four batches."""
    net = type(model)
    quantize_fx = library.quantize_fx
    observed = quantize_fx.prepare_fx(copy.deepcopy(model), mapping, (inputs(net, 1),), **config)
    with torch.no_grad():
        for seed in range(1, 5):
            observed(inputs(net, seed))
    return observed


def flat(result):
    """The tensors of a result."""
    return torch.utils._pytree.tree_leaves(result)
