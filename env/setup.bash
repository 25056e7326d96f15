# Makes this shell (bash or zsh) ready to use dfp_ros and ROS 2:  . env/setup.bash
# It activates .venv, adds the ROS 2 that came from PyPI (where no other is sourced) and, once it
# is built, this package. Sourcing it twice does no harm.

_dfp_root=$(cd "$(dirname "${BASH_SOURCE[0]:-${(%):-%x}}")/.." > /dev/null && pwd -P)
if [ ! -e "$_dfp_root/.venv/dfp_ros_environment" ]; then
  echo "env/setup.bash: there is no environment in $_dfp_root/.venv yet; run make there" >&2
  unset _dfp_root
  return 1
fi
{ read -r _dfp_ros && read -r _dfp_made; } < "$_dfp_root/.venv/dfp_ros_environment" || true
if [ "${_dfp_made:-}" != "$(cd "$_dfp_root/.venv" > /dev/null && pwd -P)" ]; then
  echo "env/setup.bash: the environment in $_dfp_root/.venv was made as '${_dfp_made:-}', and this" \
    "folder was moved or copied since; run make there" >&2
  unset _dfp_root _dfp_ros _dfp_made
  return 1
fi
unset _dfp_made
if [ -n "${ZSH_VERSION:-}" ]; then _dfp_shell=zsh; else _dfp_shell=bash; fi

if [ "$_dfp_ros" = pypi ]; then
  COLCON_CURRENT_PREFIX="$_dfp_root/.venv"
  . "$_dfp_root/.venv/local_setup.sh"
  unset COLCON_CURRENT_PREFIX
elif [ "${ROS_DISTRO:-}" != "$_dfp_ros" ]; then
  echo "env/setup.bash: .venv was made for ROS 2 $_dfp_ros, but ROS_DISTRO is" \
    "'${ROS_DISTRO:-}'; source the setup file of ROS 2 $_dfp_ros first, or run make again" >&2
  unset _dfp_root _dfp_ros _dfp_shell
  return 1
fi

# The folder of the environment is named by a hash, which says nothing in a prompt.
_dfp_quiet="${VIRTUAL_ENV_DISABLE_PROMPT:-}"
VIRTUAL_ENV_DISABLE_PROMPT=1
. "$_dfp_root/.venv/bin/activate"
VIRTUAL_ENV_DISABLE_PROMPT="$_dfp_quiet"
if [ -z "$_dfp_quiet" ]; then
  unset VIRTUAL_ENV_DISABLE_PROMPT
  _OLD_VIRTUAL_PS1="${PS1:-}"
  PS1="(dfp_ros) ${PS1:-}"
  export VIRTUAL_ENV_PROMPT='(dfp_ros) '
fi
if [ -e "$_dfp_root/.colcon/install/setup.$_dfp_shell" ]; then
  . "$_dfp_root/.colcon/install/setup.$_dfp_shell"
fi
# What a shell has of another checkout would be written into the setup files that are built here.
_dfp_without() {
  printf '%s' "$2" | tr ':' '\n' | OTHER="$1/" awk 'index($0, ENVIRON["OTHER"]) != 1' | paste -s -d : -
}
for _dfp_other in $(printf '%s' "${AMENT_PREFIX_PATH:-}" | tr ':' '\n' \
    | sed -n -e 's|/\.colcon/install/dfp_ros$||p' -e 's|/\.venv$||p' | sort -u); do
  if [ "$_dfp_other" != "$_dfp_root" ] && [ -e "$_dfp_other/env/setup.bash" ]; then
    export AMENT_PREFIX_PATH="$(_dfp_without "$_dfp_other" "$AMENT_PREFIX_PATH")"
    export COLCON_PREFIX_PATH="$(_dfp_without "$_dfp_other" "${COLCON_PREFIX_PATH:-}")"
    export PYTHONPATH="$(_dfp_without "$_dfp_other" "${PYTHONPATH:-}")"
    export PATH="$(_dfp_without "$_dfp_other" "$PATH")"
  fi
done
unset _dfp_other
unset -f _dfp_without
unset _dfp_root _dfp_ros _dfp_shell _dfp_quiet
# One thread for NumPy's products: those of a simulation are small, an idle thread of OpenBLAS spins,
# and their last digits depend on the number of threads.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
