#!/usr/bin/env bash
# The package on ROS 2 from apt, in a container of ros:DISTRIBUTION-ros-base. Its steps, all of them
# if none is named:
#   packages  system packages by rosdep, the rest from PyPI in a virtual environment
#   build     a workspace, built by colcon
#   test      commands of the installed package, then the tests that need ROS and NumPy alone
# With a ROS 2 that is installed and sourced already, `.github/scripts/ros_container.sh build test`.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
workspace=${WORKSPACE:-${XDG_CACHE_HOME:-$HOME/.cache}/dfp_ros_workspace}
: "${ROS_DISTRO:?expected a sourced ROS 2, or a container that names its distribution}"

source_file() {
  # Setup files of ROS use variables that may be unset.
  set +u
  # shellcheck disable=SC1090
  . "$1"
  set -u
}

packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install --yes --no-install-recommends \
    git make python3-colcon-common-extensions python3-pip python3-pytest python3-rosdep python3-venv
  [ -e /etc/ros/rosdep/sources.list.d/20-default.list ] || rosdep init
  rosdep update --rosdistro "$ROS_DISTRO"
  rosdep install --from-paths "$checkout" --ignore-src --default-yes
  python3 -m venv --system-site-packages "$workspace/venv"
  "$workspace/venv/bin/python" -m pip install \
    --constraint "$checkout/env/constraints-apt.txt" \
    --requirement "$checkout/env/requirements-apt.txt"
}

build() {
  mkdir -p "$workspace"
  cd "$workspace"
  python3 "$(command -v colcon)" --log-base log build --base-paths "$checkout" \
    --build-base build --install-base install
}

run_tests() {
  source_file "$workspace/install/setup.bash"
  cd "$workspace"
  ros2 pkg executables dfp_ros
  ros2 run dfp_ros describe cube_single
  cd "$checkout"
  mapfile -t tests < <(make --silent list-robot-tests)
  python3 -m pytest "${tests[@]}"
}

[ "$#" -gt 0 ] || set -- packages build test
for step in "$@"; do
  if [ -e "/opt/ros/$ROS_DISTRO/setup.bash" ]; then
    source_file "/opt/ros/$ROS_DISTRO/setup.bash"
  fi
  if [ "$step" != packages ] && [ -e "$workspace/venv/bin/activate" ]; then
    source_file "$workspace/venv/bin/activate"
  fi
  case $step in
    packages | build) "$step" ;;
    test) run_tests ;;
    *) echo "found the step '$step', expected packages, build or test" >&2; exit 2 ;;
  esac
done
