"""Run every benchmark."""

from . import bench_overhead

bench_overhead.main()
