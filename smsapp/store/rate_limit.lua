-- The rate limiter of one channel: grant a sender's requests, as many as the channel's rate has room for.
--
-- Redis executes this script as one step, so senders never see a half-written state. Times are Unix microseconds.
--
-- State, each key in Redis for 60 seconds after the last call:
--   state                hash: recent_count    messages in recent_answers
--                              next_grant_at   earliest time of the next grant, so that grants are evenly spaced
--                              reserved_for, reserved, reserved_until
--                                              room kept for a sender that found none: who, how many messages, how long
--   recent_answers       list of "time count": messages answered within the last second, oldest first
--   in_flight_by_sender  hash: sender -> "heartbeat count": its messages granted and not answered
--   last_grant_by_sender sorted set: sender -> time of its last grant
--   granted_in_second    prefix of counters: messages granted in each whole second, for the rate in use
--
-- What happens to a message:
--   asked for --granted--> in flight --answered--> recent answer --a second later--> not counted any more
--                              \--no heartbeat of its sender--> not counted any more
--
-- Invariants:
--   1. Messages in flight + recent answers <= rate after every grant; a request larger than the rate is granted when
--      nothing else counts. So a provider never counts more than the rate within one second, whenever between grant
--      and answer it counts a message.
--   2. recent_count is the sum of the counts in recent_answers.
--   3. At most one sender has a reservation. It ends with a grant to that sender, or when its time is over.
--   4. A sender that asks for nothing (no sizes) changes only its count in flight and its answers.
--
-- Arguments: sender, rate (messages per second), the sender's messages in flight, its messages answered since its last
-- call, now (0 = the clock of Redis), heartbeat timeout, burst (both in microseconds), then the size of each request.
-- Returns how many of the requests are granted, in their order, and the microseconds after which to ask for the rest.

local state_key, recent_answers_key, in_flight_key, last_grant_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local granted_in_second_prefix = KEYS[5]
local sender, rate, own_in_flight = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local answered, now = tonumber(ARGV[4]), tonumber(ARGV[5])
local heartbeat_timeout, burst = tonumber(ARGV[6]), tonumber(ARGV[7])
local FIRST_SIZE = 8

local SECOND = 1000000
local SLICE = SECOND / 100
local KEPT_SECONDS, COUNTER_SECONDS = 60, 15

if now == 0 then
  local clock = redis.call('TIME')
  now = clock[1] * SECOND + clock[2]
end

local function digits(number) return string.format('%.0f', number) end

local function time_and_count(entry) return string.match(entry or '', '(%d+) (%d+)') end

local state = redis.call(
  'HMGET', state_key, 'recent_count', 'next_grant_at', 'reserved_for', 'reserved', 'reserved_until'
)
local recent_count = tonumber(state[1] or 0)
-- Never more than a second ahead: a later time was written before the clock was set back.
local next_grant_at = math.min(tonumber(state[2] or 0), now + SECOND)
local reserved_for, stored_reserved, reserved_until = state[3], state[4], tonumber(state[5] or 0)

-- 1. Add this sender's answers. Those of one slice share an entry, whose time is the end of the slice.
local newest = redis.call('LINDEX', recent_answers_key, -1)
if not newest then recent_count = 0 end
if answered > 0 then
  local slice_end, count = math.floor(now / SLICE + 1) * SLICE, answered
  local newest_time, newest_count = time_and_count(newest)
  if newest_time and tonumber(newest_time) == slice_end then
    redis.call('RPOP', recent_answers_key)
    count = count + newest_count
  end
  redis.call('RPUSH', recent_answers_key, digits(slice_end) .. ' ' .. digits(count))
  recent_count = recent_count + answered
end

-- 2. Remove answers older than a second, and those in the future: they were written before the clock was set back.
while true do
  local oldest_time, oldest_count = time_and_count(redis.call('LINDEX', recent_answers_key, 0))
  if not oldest_time or (now - oldest_time < SECOND and oldest_time - now <= SLICE) then break end
  redis.call('LPOP', recent_answers_key)
  recent_count = recent_count - oldest_count
end

-- 3. Count what other senders have in flight; remove senders without a heartbeat.
local others_in_flight, in_flight_by_sender = 0, redis.call('HGETALL', in_flight_key)
for i = 1, #in_flight_by_sender, 2 do
  local other = in_flight_by_sender[i]
  local heartbeat, count = time_and_count(in_flight_by_sender[i + 1])
  if math.abs(now - heartbeat) > heartbeat_timeout then
    redis.call('HDEL', in_flight_key, other)
  elseif other ~= sender then
    others_in_flight = others_in_flight + count
  end
end

-- 4. Respect another sender's reservation. Without reservations others might take all room for ever, above all from
-- large requests. Room is reserved for the sender whose last grant is the longest ago: one that waits even longer may
-- take it.
local function last_grant(who) return tonumber(redis.call('ZSCORE', last_grant_key, who) or 0) end

local reserved, reserved_for_another = 0, reserved_for and reserved_for ~= sender
local reserved_ahead, asks = reserved_until - now, #ARGV >= FIRST_SIZE
if reserved_for_another and reserved_ahead > 0 and reserved_ahead < 2 * SECOND then
  if not asks or last_grant(sender) >= last_grant(reserved_for) then reserved = tonumber(stored_reserved) end
end

-- 5. Grant requests in their order, until one finds no room or comes too early.
local granted, granted_messages, wait = 0, 0, 0
for i = FIRST_SIZE, #ARGV do
  local size = tonumber(ARGV[i])
  local needed = math.min(size, rate)
  local missing = others_in_flight + own_in_flight + recent_count + reserved + needed - rate
  if missing > 0 then
    -- Wait until enough answers are a second old. Messages in flight count for a second more, at least.
    wait = SECOND
    for _, entry in ipairs(redis.call('LRANGE', recent_answers_key, 0, -1)) do
      local time, count = time_and_count(entry)
      missing = missing - count
      if missing <= 0 then
        wait = time + SECOND - now
        break
      end
    end
    if granted == 0 and reserved == 0 then
      local until_time = digits(now + wait + SECOND / 5)
      redis.call('HSET', state_key, 'reserved_for', sender, 'reserved', needed, 'reserved_until', until_time)
    end
    break
  elseif next_grant_at > now then
    wait = next_grant_at - now
    break
  end
  next_grant_at = math.max(next_grant_at, now - burst) + size * SECOND / rate
  granted, granted_messages, own_in_flight = granted + 1, granted_messages + size, own_in_flight + size
end

-- 6. Store the new state.
redis.call('HSET', state_key, 'recent_count', recent_count, 'next_grant_at', digits(next_grant_at))
if granted > 0 then
  if reserved == 0 then redis.call('HDEL', state_key, 'reserved_for', 'reserved', 'reserved_until') end
  redis.call('ZADD', last_grant_key, digits(now), sender)
  redis.call('ZREMRANGEBYSCORE', last_grant_key, 0, digits(now - KEPT_SECONDS * SECOND))
  local counter = granted_in_second_prefix .. digits(math.floor(now / SECOND))
  redis.call('INCRBY', counter, granted_messages)
  redis.call('EXPIRE', counter, COUNTER_SECONDS)
end
if own_in_flight > 0 then
  redis.call('HSET', in_flight_key, sender, digits(now) .. ' ' .. digits(own_in_flight))
else
  redis.call('HDEL', in_flight_key, sender)
end
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], KEPT_SECONDS) end
return {granted, digits(wait)}
