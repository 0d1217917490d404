"""Train P4CNN on scikit-learn's digits with a Trainer; stop and resume from its snapshots.

python -m chainer_gconv examples/legacy_chainer/train.py --epoch 10 --out result
python -m chainer_gconv examples/legacy_chainer/train.py --epoch 20 --out result --resume result/snapshot_epoch-10
"""

import argparse

import chainer
import chainer.links as L
import numpy as np
from chainer import training
from chainer.training import extensions
from model import P4CNN
from sklearn.datasets import load_digits


def get_digits():
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    dataset = chainer.datasets.TupleDataset(images, digits.target.astype(np.int32))
    return chainer.datasets.split_dataset_random(dataset, 1500, seed=0)


def main():
    parser = argparse.ArgumentParser(description="Chainer example: P4CNN on digits")
    parser.add_argument("--batchsize", "-b", type=int, default=50)
    parser.add_argument("--epoch", "-e", type=int, default=10)
    parser.add_argument("--out", "-o", default="result", help="directory of the snapshots and the log")
    parser.add_argument("--resume", "-r", default="", help="snapshot to go on from")
    args = parser.parse_args()

    np.random.seed(0)
    model = L.Classifier(P4CNN())
    optimizer = chainer.optimizers.Adam()
    optimizer.setup(model)

    train, test = get_digits()
    train_iter = chainer.iterators.SerialIterator(train, args.batchsize)
    test_iter = chainer.iterators.SerialIterator(test, args.batchsize, repeat=False, shuffle=False)

    updater = training.StandardUpdater(train_iter, optimizer)
    trainer = training.Trainer(updater, (args.epoch, "epoch"), out=args.out)
    trainer.extend(extensions.Evaluator(test_iter, model))
    trainer.extend(extensions.snapshot(filename="snapshot_epoch-{.updater.epoch}"), trigger=(1, "epoch"))
    trainer.extend(extensions.LogReport())
    trainer.extend(extensions.PrintReport(["epoch", "main/loss", "validation/main/loss", "validation/main/accuracy"]))
    if args.resume:
        chainer.serializers.load_npz(args.resume, trainer)
    trainer.run()


if __name__ == "__main__":
    main()
