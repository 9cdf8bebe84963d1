#!/bin/bash
# Start what this node is for. An image that has /opt/booking/bin/jupyter is ready at once; any other installs it.
set -eu
told() { python3 -c 'import json, sys; print(json.load(open("/etc/booking/cluster.json"))[sys.argv[1]])' "$1"; }
bin=/opt/booking/bin engine=$(told engine) role=$(told role) head=$(told head)
if [ ! -x "$bin/jupyter" ]; then
  python3 -m venv /opt/booking
  "$bin/pip" install --quiet jupyterlab distributed pyspark
fi
id booking >/dev/null 2>&1 || useradd --create-home --shell /bin/bash booking
home=$(getent passwd booking | cut -d: -f6)
as_user() { runuser -u booking -- env HOME="$home" JUPYTER_TOKEN="$(told token)" "$@"; }
cd "$home"
if [ "$role" = worker ] && [ "$engine" = dask ]; then
  as_user "$bin/dask" worker "tcp://$head:8786" --nworkers 1 --nthreads "$(told worker_cores)" \
    --memory-limit "$(told worker_memory_mib)MiB"
elif [ "$role" = worker ]; then
  as_user "$bin/spark-class" org.apache.spark.deploy.worker.Worker "spark://$head:7077" \
    --cores "$(told worker_cores)" --memory "$(told worker_memory_mib)m"
else
  if [ "$engine" = dask ]; then
    as_user "$bin/dask" scheduler --port 8786 &
  else
    as_user "$bin/spark-class" org.apache.spark.deploy.master.Master --host "$(hostname)" --port 7077 &
  fi
  # The token comes by the environment: a command line may be read by everybody.
  as_user "$bin/jupyter" lab --ip 0.0.0.0 --port 8888 --no-browser
fi
