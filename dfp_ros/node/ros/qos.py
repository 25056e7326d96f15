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
"""Quality of service (QoS) of the nodes' topics."""

from rclpy.qos import DurabilityPolicy, qos_profile_parameters, QoSProfile, ReliabilityPolicy

from dfp_ros.core.description.sources import Reception

# Matches sensors that publish reliably or not.
SENSOR_QOS = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
# Controllers subscribe reliably, and only the newest command counts.
COMMAND_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# A recorder may fall behind for a moment, and needs all messages.
DECISION_QOS = QoSProfile(
    depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# Late subscribers get the last message.
STATUS_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Clients of a service get each other's answers, too. With the usual depth of 10, those to others,
# such as a program that asks for parameters again and again, push out the answer to a client that
# is kept from taking it for a moment.
CALL_QOS = qos_profile_parameters


def source_qos(reception: Reception, lockstep: bool = False) -> QoSProfile:
    """
    Make the QoS of the subscription to a source.

    :param reception: QoS in the description.
    :param lockstep: Whether every sample is waited for, so that none may be lost; its publisher
        must be reliable then.
    """
    return QoSProfile(
        depth=reception.depth, durability=DurabilityPolicy[reception.durability.upper()],
        reliability=ReliabilityPolicy[
            'RELIABLE' if lockstep else reception.reliability.upper()])
