# Copyright 2026 The dfp_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Cameras in robot descriptions: their keys, their errors, and policies that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dfp_ros.core.description.picture_format import PictureFormat
from dfp_ros.core.description.robot import load_robot_description, require_fit
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.spec import SpecMismatch
from dfp_ros.spec_images import ImageField
from testing import ROOT
from testing.policies.picture_policy import camera_spec, IMAGES

TEXT = (ROOT / 'testing' / 'data' / 'camera_arm.yaml').read_text()
PICTURE = 'picture: {encoding: rgb8, width: 64, height: 48}'
WRIST = ('- {name: wrist, source: wrist_camera, crop: [8, 0, 48, 48], height: 12, width: 12, '
         'channels: rgb}')
DEPTH = ('- {name: depth, source: depth_camera, height: 6, width: 8, channels: depth, '
         'range: [0.2, 1.2]}')


def changed(folder: Path, old: str, new: str) -> Path:
    """Write the description with a text replaced."""
    assert old in TEXT
    path = folder / 'robot.yaml'
    path.write_text(TEXT.replace(old, new, 1))
    return path


def test_a_robot_with_cameras_fits_its_policy(tmp_path: Path) -> None:
    """Its pictures are those of the policy, and only the newest one of a camera is queued."""
    robot = load_robot_description(changed(tmp_path, 'robot: ', 'robot: '))
    require_fit(camera_spec(), robot)
    assert robot.sources['wrist_camera'].picture == PictureFormat('rgb8', 64, 48)
    assert robot.sources['wrist_camera'].qos.depth == 1
    assert robot.sources['arm'].qos.depth == 5
    assert [image.crop for image in robot.images] == [(8, 0, 48, 48), (0, 0, 32, 24)]
    assert [image.name for image in robot.images_of('depth_camera')] == ['depth']


@pytest.mark.parametrize('images', [
    (), IMAGES[:1], IMAGES[::-1], (replace(IMAGES[0], height=13), IMAGES[1]),
    (replace(IMAGES[0], channels='bgr'), IMAGES[1]), (IMAGES[0], replace(IMAGES[1], high=1.3)),
    (*IMAGES, ImageField('third', 4, 4, 'gray'))])
def test_a_policy_with_other_pictures_is_refused(
        tmp_path: Path, images: tuple[ImageField, ...]) -> None:
    """Their names, sizes, channels and ranges are compared, and their order."""
    robot = load_robot_description(changed(tmp_path, 'robot: ', 'robot: '))
    with pytest.raises(SpecMismatch, match=r"image field \d: policy 'seeing' has .*, robot 'cam"):
        require_fit(camera_spec(images=images), robot)


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('encoding: rgb8', 'encoding: rgb16', "encoding: found 'rgb16'; did you mean 'rgb8'?"),
    ('encoding: rgb8', 'encoding: jpeg', "encoding: found 'jpeg'"),
    ('width: 64', 'width: 0', 'width: found 0, expected a whole number from 1 on'),
    ('width: 64', 'width: 1000000', 'found 1000000, expected at most 16384'),
    ('width: 64, height: 48', 'width: 10000, height: 10000', 'found 10000 x 10000 pixels, expect'),
    ('width: 64, ', '', "the key 'width' is missing"),
    ('type: sensor_msgs/msg/JointState', f'type: sensor_msgs/msg/JointState\n    {PICTURE}',
     'found this for sensor_msgs/msg/JointState, which has no pictures'),
    (f'    {PICTURE}\n', '', "found 'wrist_camera', which is no camera; give that source the key"),
    (PICTURE, f'{PICTURE}\n    sampling: before_tick', 'only the newest picture is kept'),
    ('source: wrist_camera', 'source: wrist', "did you mean 'wrist_camera'?"),
    ('channels: rgb', 'channels: rgbd', "did you mean 'rgb'?"),
    ('channels: rgb', 'channels: depth', 'are rgb8, from which there is rgb, bgr, gray'),
    ('channels: depth', 'channels: gray', 'are 16UC1, from which there is depth'),
    ('crop: [8, 0, 48, 48]', 'crop: [8, 0, 48]', 'found 3 numbers, expected four: left, top'),
    ('crop: [8, 0, 48, 48]', 'crop: [20, 0, 48, 48]', 'ends at 68, 48, expected one within the'),
    ('crop: [8, 0, 48, 48]', 'crop: [8, 0, 0, 48]', 'found 0, expected a whole number'),
    ('crop: [8, 0, 48, 48]', 'crop: [-8, 0, 48, 48]', 'found -8, expected an index'),
    (', range: [0.2, 1.2]', '', "the key 'range' is missing: the nearest and the farthest"),
    ('range: [0.2, 1.2]', 'range: [1.2, 0.2]', 'found 1.2 to 0.2 m, expected a range upwards'),
    ('range: [0.2, 1.2]', 'range: [0.2]', 'found 1 numbers, expected the nearest'),
    ('channels: rgb', 'channels: rgb, range: [0, 1]', 'found this for colours'),
    ('height: 12', 'height: 3000', 'found 3000, expected at most 2048'),
    ('name: wrist', 'name: depth', "found the field 'depth' twice"),
    ('name: wrist', 'name: noise', 'found the name of another input or output of the graph'),
    ('name: wrist', 'changes_within: 0, name: wrist', 'expected a number above 0'),
    ('name: wrist', 'nme: wrist', "did you mean 'name'?"),
    ('source: arm, path: position, joints: [shoulder, elbow]', 'source: depth_camera, path: step',
     "found the source 'depth_camera', which is a camera"),
    ('images:', 'image:', "did you mean 'images'?"),
    (f'  {WRIST}\n', f'  {WRIST}\n  {WRIST.replace("name: wrist", "name: front")}\n',
     "images[1]: found the same part of source 'wrist_camera' in the same size as 'wrist', so"),
    ('  depth_camera:', f'  front:\n    topic: wrist/image_raw\n    max_age: 0.5\n    {PICTURE}\n'
     '    type: sensor_msgs/msg/Image\n    frame_id: front\n  depth_camera:',
     "sources.front: its topic wrist/image_raw, which the camera 'wrist_camera' has, too")])
def test_errors_name_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Line, key and remedy, before anything of it is used."""
    with pytest.raises(DescriptionError) as caught:
        load_robot_description(changed(tmp_path, old, new))
    assert message in str(caught.value)
    assert 'robot.yaml:' in str(caught.value)


def test_pictures_are_bounded_in_all(tmp_path: Path) -> None:
    """Their number, and the bytes that a policy gets."""
    many = '\n'.join(f'  {WRIST}'.replace('name: wrist', f'name: w{i}') for i in range(17))
    with pytest.raises(DescriptionError, match='number of pictures: found 18, expected at'):
        load_robot_description(changed(tmp_path, f'  {WRIST}', many))
    large = '\n'.join(f'  {WRIST}'.replace('name: wrist', f'name: w{i}').replace(
        'height: 12, width: 12', 'height: 2048, width: 2048') for i in range(2))
    with pytest.raises(DescriptionError, match='bytes of all pictures: found 25165872'):
        load_robot_description(changed(tmp_path, f'  {WRIST}', large))
