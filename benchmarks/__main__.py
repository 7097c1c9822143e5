"""Run every benchmark, print its table, and write them all to ``RESULTS.md``."""

from . import bench_memory, bench_overhead, bench_png, bench_start, report

tables = []
for benchmark in (bench_overhead, bench_png, bench_memory, bench_start):
    tables.append(benchmark.main())
    print(tables[-1].markdown(), flush=True)
report.write(tables)
