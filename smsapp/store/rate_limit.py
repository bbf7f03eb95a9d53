"""A channel's rate limiter, shared by all workers on all hosts: one Lua call grants requests, none beyond the rate.

The provider counts a message at an unknown moment between its grant and its answer. So a message counts from its grant
until a second after its answer, and a request is granted only if its messages and all that count do not exceed the
rate. This holds however late a worker is: of the messages that a provider counts within one second, the one granted
last was granted while all the others counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import redis

from smsapp.store.queue import QueueDown, connection

BURST = 0.1
"""Seconds' worth of messages that may be sent at once after a pause; otherwise they are evenly spaced. The rate holds
anyway; the burst makes up for workers that wake late."""
HEARTBEAT_TIMEOUT = 10.0
"""Heartbeat timeout in seconds, after which a sender's requests no longer count: it is dead."""
HEARTBEAT = 2.0
"""Most seconds between heartbeats of a sender with requests in flight."""
ASK_AGAIN, ASK_AGAIN_TIMED_OUT = 1.0, 10.0
"""Seconds until the next call after an error, and after a timeout: with a dead connection every call takes seconds."""
LOOKED_BACK = 5
"""Whole seconds over which the rate in use is measured."""

GRANT = """
local state, answered, out, served, pace = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sender, rate, mine, done, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]),
tonumber(ARGV[5]) local silent, burst, second, slice = tonumber(ARGV[6]), tonumber(ARGV[7]), 1000000, 10000
if now == 0 then
  local clock = redis.call('TIME')
  now = clock[1] * second + clock[2]
end
local function whole(n) return string.format('%.0f', n) end
local kept = redis.call('HMGET', state, 'recent', 'next', 'first', 'its_count', 'its_end')
local recent, next = tonumber(kept[1] or 0), math.min(tonumber(kept[2] or 0), now + second)

-- Answered messages, "when count" by hundredths of a second rounded up, the oldest first. They count for a second;
-- entries in the future were written before the clock was set back.
local last = redis.call('LINDEX', answered, -1)
if not last then recent = 0 end
if done > 0 then
  local at, count = math.floor(now / slice + 1) * slice, done
  local when, there = string.match(last or '0 0', '(%d+) (%d+)')
  if tonumber(when) == at then
    redis.call('RPOP', answered)
    count = count + there
  end
  redis.call('RPUSH', answered, whole(at) .. ' ' .. whole(count))
  recent = recent + done
end
while true do
  local when, count = string.match(redis.call('LINDEX', answered, 0) or '', '(%d+) (%d+)')
  if not when or (now - when < second and when - now <= slice) then break end
  redis.call('LPOP', answered)
  recent = recent - count
end

-- Messages in flight by sender: "heartbeat, count". This sender's entry is written below.
local held, senders = 0, redis.call('HGETALL', out)
for i = 1, #senders, 2 do
  local said, count = string.match(senders[i + 1], '(%d+) (%d+)')
  if math.abs(now - said) > silent then
    redis.call('HDEL', out, senders[i])
  elseif senders[i] ~= sender then
    held = held + count
  end
end

-- Room is reserved for a sender that found none, or others might take it for ever, above all from large requests: of
-- those that ask, for the one that was served the longest ago.
local function since(one) return tonumber(redis.call('ZSCORE', served, one) or 0) end
local first, reserved, ahead = kept[3], 0, tonumber(kept[5] or 0) - now
if first and first ~= sender and ahead > 0 and ahead < 2 * second and (#ARGV < 8 or since(sender) >= since(first)) then
  reserved = tonumber(kept[4])
end

local granted, messages, wait = 0, 0, 0
for i = 8, #ARGV do
  local count = tonumber(ARGV[i])
  local over = held + mine + recent + reserved + math.min(count, rate) - rate
  if over > 0 then
    -- Wait until enough answers are a second old; messages in flight now count for a second at least.
    wait = second
    for _, entry in ipairs(redis.call('LRANGE', answered, 0, -1)) do
      local when, there = string.match(entry, '(%d+) (%d+)')
      over = over - there
      if over <= 0 then
        wait = when + second - now
        break
      end
    end
    if granted == 0 and reserved == 0 then
      local till = whole(now + wait + second / 5)
      redis.call('HSET', state, 'first', sender, 'its_count', math.min(count, rate), 'its_end', till)
    end
    break
  elseif next > now then
    wait = next - now
    break
  end
  next = math.max(next, now - burst) + count * second / rate
  granted, messages, mine = granted + 1, messages + count, mine + count
end

redis.call('HSET', state, 'recent', recent, 'next', whole(next))
if granted > 0 then
  if reserved == 0 then redis.call('HDEL', state, 'first', 'its_count', 'its_end') end
  redis.call('ZADD', served, whole(now), sender)
  redis.call('ZREMRANGEBYSCORE', served, 0, whole(now - 60 * second))
  local this_second = pace .. whole(math.floor(now / second))
  redis.call('INCRBY', this_second, messages)
  redis.call('EXPIRE', this_second, 15)
end
if mine > 0 then redis.call('HSET', out, sender, whole(now) .. ' ' .. whole(mine)) else redis.call('HDEL', out, sender)
end for i = 1, 4 do redis.call('EXPIRE', KEYS[i], 60) end
return {granted, whole(wait)}
"""


class SharedRateLimiter:
    """One sender's access to a channel's rate limiter in Redis; construct it in an application context."""

    def __init__(self, channel_id: int, rate: float, sender: str) -> None:
        self.script = connection().register_script(GRANT)
        own = [f"smsapp:rate:{channel_id}:{what}" for what in ("state", "answered", "out", "served")]
        self.keys = [*own, _pace(channel_id)]
        self.sender, self.rate = sender, rate

    def ask(self, out: int, answered: int, sizes: Sequence[int], now: float = 0.0) -> tuple[int, float]:
        """Report messages in flight (`out`) and answered since the last call; ask for requests of these sizes.

        Returns how many of them may be sent now, and the seconds after which to ask for the rest. `now`: Unix seconds
        instead of Redis's clock. Raises RateLimiterDown if Redis does not answer.
        """
        fixed = (round(now * 1e6), round(HEARTBEAT_TIMEOUT * 1e6), round(BURST * 1e6))
        granted, wait = self.script(keys=self.keys, args=[self.sender, self.rate, out, answered, *fixed, *sizes])
        return int(granted), int(wait) / 1e6


@dataclass
class LocalRateLimiter:
    """A sender's local limiter while Redis does not answer: its share of the rate, counted in the same way.

    Nothing is granted in the first second, which may be full already. A request larger than the share takes as many
    seconds as it has shares.
    """

    share: float
    since: float
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    """(time, messages answered)"""

    def ask(self, out: int, answered: int, sizes: Sequence[int], now: float) -> tuple[int, float]:
        """As `Shared.ask`; `now` in seconds of the clock of `since`."""
        if answered:
            self.recent.append((now, answered))
        size = max(sizes, default=1)
        span = max(1.0, size / self.share)
        while self.recent and self.recent[0][0] + span <= now:
            self.recent.popleft()
        if now < self.since + 1:
            return 0, self.since + 1 - now
        granted, room = 0, max(self.share, size) - out - self.latest(now, span)
        for size in sizes:
            if size > room:
                return granted, max(self.recent[0][0] + span - now if self.recent else 0.0, 0.01)
            room -= size
            granted += 1
        return granted, 0.0

    def latest(self, now: float, span: float = 1.0) -> int:
        """Return how many messages were answered within the last `span` seconds."""
        return sum(count for at, count in self.recent if at + span > now)


def _pace(channel_id: int) -> str:
    """Return the prefix of the keys that count a channel's granted messages second by second."""
    return f"smsapp:pace:{channel_id}:"


def in_use(channel_id: int) -> float:
    """Return the messages per second sent lately by all workers; raises RateLimiterDown if Redis does not answer."""
    second, _ = connection().time()
    counts = connection().mget([f"{_pace(channel_id)}{second - ago}" for ago in range(1, LOOKED_BACK + 1)])
    return sum(int(count or 0) for count in counts) / LOOKED_BACK


RateLimiterDown = QueueDown


def ask_again(error: RateLimiterDown) -> float:
    """Return the seconds until the next call after one that failed."""
    return ASK_AGAIN_TIMED_OUT if isinstance(error, redis.TimeoutError) else ASK_AGAIN
