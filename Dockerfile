# dfp_ros on ROS 2 from apt:
#   docker build --tag dfp_ros --build-arg ROS_DISTRO=jazzy .
#   docker run --rm --network host dfp_ros ros2 launch dfp_ros policy.launch.py \
#     policy:=cube_single robot:=ur5e_cube
# The stage `develop` has the tests' packages besides; .devcontainer uses it.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base AS develop
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV WORKSPACE=/opt/dfp_ros
WORKDIR /opt/dfp_ros/src
COPY package.xml ./
COPY env/requirements-apt.txt env/constraints-apt.txt env/
COPY .github/scripts/ros_container.sh .github/scripts/
RUN .github/scripts/ros_container.sh packages && rm -rf /var/lib/apt/lists/* /root/.cache

FROM develop AS robot
COPY . .
RUN .github/scripts/ros_container.sh build && rm -rf /opt/dfp_ros/build /opt/dfp_ros/log
# Not root: a policy file is somebody else's.
RUN useradd --create-home --uid 1001 robot
USER 1001
WORKDIR /home/robot
ENTRYPOINT ["/bin/bash", "-c", "set -e; . /opt/ros/$ROS_DISTRO/setup.bash; . $WORKSPACE/venv/bin/activate; . $WORKSPACE/install/setup.bash; exec \"$@\"", "--"]
CMD ["ros2", "pkg", "executables", "dfp_ros"]
