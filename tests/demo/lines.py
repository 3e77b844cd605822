"""Prints a few hundred lines as sshd would have logged them over the last twenty hours: failed logins from many networks.

The addresses are made up from a fixed seed, so that every run shows the same; a few of them are too patient to be banned.
"""

import random
import time

random.seed(20)
NETWORKS = [1, 5, 14, 23, 27, 31, 36, 41, 45, 46, 49, 58, 61, 77, 80, 84, 91, 95, 101, 103, 112, 118, 122, 134, 139, 141,
            154, 159, 167, 175, 177, 181, 185, 188, 190, 193, 200, 202, 209, 212, 218, 222]
NETWORKS6 = ["2001:db8:%x::%x", "2a01:4f8:%x::%x", "2400:cb00:%x::%x", "2804:14c:%x::%x"]
USERS = ["root", "invalid user admin", "invalid user test", "invalid user oracle", "invalid user pi", "ubuntu"]


def address(number):
    if number % 9 == 0:
        return random.choice(NETWORKS6) % (random.randrange(1, 65535), random.randrange(1, 65535))
    octets = [random.choice(NETWORKS)] + [random.randrange(1, 255) for _ in range(3)]
    return ".".join(map(str, octets))


now = time.time()
events = []
for number in range(110):
    source = address(number)
    start = now - random.uniform(120, 20 * 3600)
    for attempt in range(random.choice([2, 3, 4, 5, 9])):
        events.append((start + attempt * random.uniform(2, 9), source, random.choice(USERS)))
for at, source, user in sorted(events):
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(at))
    print("%s demo sshd[%d]: Failed password for %s from %s port %d ssh2"
          % (stamp, random.randrange(300, 32000), user, source, random.randrange(1024, 65535)))
