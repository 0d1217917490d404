"""Train P4CNN with ChainerMN: each process has its share of the digits, and gradients are averaged over processes.

mpiexec -n 2 python -m chainer_gconv examples/legacy_chainer/train_mpi.py --epoch 10 --out result
"""

import argparse
import os

import chainer
import chainer.links as L
import chainermn
import numpy as np
from chainer import training
from chainer.training import extensions
from model import P4CNN
from train import get_digits


def main():
    parser = argparse.ArgumentParser(description="ChainerMN example: P4CNN on digits")
    parser.add_argument("--communicator", default="naive", help="of ChainerMN; naive needs no GPU")
    parser.add_argument("--batchsize", "-b", type=int, default=25, help="of each process")
    parser.add_argument("--epoch", "-e", type=int, default=10)
    parser.add_argument("--out", "-o", default="result", help="directory of the log and of each process's weights")
    args = parser.parse_args()

    comm = chainermn.create_communicator(args.communicator)
    np.random.seed(comm.rank)  # each process starts from weights of its own: the first update sends round rank 0's
    model = L.Classifier(P4CNN())
    optimizer = chainermn.create_multi_node_optimizer(chainer.optimizers.Adam(), comm)
    optimizer.setup(model)

    train, test = get_digits() if comm.rank == 0 else (None, None)
    train = chainermn.scatter_dataset(train, comm, shuffle=True, seed=0)
    test = chainermn.scatter_dataset(test, comm)
    train_iter = chainer.iterators.SerialIterator(train, args.batchsize)
    test_iter = chainer.iterators.SerialIterator(test, args.batchsize, repeat=False, shuffle=False)

    updater = training.StandardUpdater(train_iter, optimizer)
    trainer = training.Trainer(updater, (args.epoch, "epoch"), out=args.out)
    trainer.extend(chainermn.create_multi_node_evaluator(extensions.Evaluator(test_iter, model), comm))
    if comm.rank == 0:
        trainer.extend(extensions.LogReport())
        trainer.extend(extensions.PrintReport(["epoch", "main/loss", "validation/main/accuracy"]))
    trainer.run()
    chainer.serializers.save_npz(os.path.join(args.out, f"weights_rank-{comm.rank}.npz"), model)


if __name__ == "__main__":
    main()
