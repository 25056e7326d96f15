# Adds the ROS 2 that came from PyPI to this shell. It stands in .venv as the setup file that
# colcon looks for in every prefix that it builds upon; COLCON_CURRENT_PREFIX is that prefix.

case ":${AMENT_PREFIX_PATH:-}:" in
  *":$COLCON_CURRENT_PREFIX:"*) ;;
  *)
    AMENT_PREFIX_PATH="$COLCON_CURRENT_PREFIX${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
    export AMENT_PREFIX_PATH
    ;;
esac
export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
# Robots of other people on the same network are none of a demo's business, unless wished for.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
