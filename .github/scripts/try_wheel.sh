#!/usr/bin/env bash
# Installs a wheel in an environment that has nothing else, and runs its node and its tools there:
#   .github/scripts/try_wheel.sh build/dist/*.whl
# rclpy is that of a sourced ROS 2, or else ROS 2 Jazzy from PyPI.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
wheel=$(realpath "${1:?name the wheel}")
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What an environment sees depends on how ROS 2 was installed: apt's comes with PYTHONPATH.
"$python" -m venv --system-site-packages "$folder/venv"
if "$folder/venv/bin/python" -c 'import rclpy' 2> /dev/null; then
  "$folder/venv/bin/python" -m pip install --quiet --constraint "$root/env/constraints-apt.txt" "$wheel"
else
  unset AMENT_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH
  "$python" -m venv --clear "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --constraint "$root/env/constraints.txt" \
    'ros-rclpy[fastrtps]' ros-rcl-logging-spdlog ros-jazzy-common-interfaces "$wheel"
  export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
fi

# From here on as a user who activated the environment, away from the checkout.
cd "$folder"
export PATH="$folder/venv/bin:$PATH" VIRTUAL_ENV="$folder/venv" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
export AMENT_PREFIX_PATH="$folder/venv${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
unset PYTHONHOME

describe cube_single > description
grep -q "^Policy cube_single" description
for program in "$folder"/venv/lib/dfp_ros/*; do
  "$program" --help > help
  grep -q "^usage: " help
  echo "runs: $(basename "$program") --help"
done

# The node, as `ros2 run` and launch files start it: it has to configure, wait for its robot, and
# end by Ctrl-C with a stop.
"$folder/venv/lib/dfp_ros/policy_node" --ros-args -p policy:=cube_single -p robot:=ur5e_cube \
  > log 2>&1 &
node=$!
for _ in $(seq 300); do
  if grep -q 'waiting, nothing is commanded' log || ! kill -0 "$node" 2> /dev/null; then break; fi
  sleep 0.1
done
kill -INT "$node" || true
status=0
wait "$node" || status=$?
cat log
grep -q "policy 'cube_single'" log
grep -q 'stopped: sent a stop to every command topic' log
[ "$status" -eq 0 ]
echo "the wheel works: $(basename "$wheel"), $(python --version)"
