-- The generic cell rate algorithm for several counters: one more in all of them, or in none.
--
-- KEYS are the counters; each holds its theoretical arrival time in microseconds. ARGV has two
-- numbers for each: the interval in microseconds, and the limit. Answers how long to wait (0 or
-- less: it was counted), and how far each counter is ahead of the time. All numbers are whole and
-- below 2^53, so that Lua's are exact.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = {}
local wait = 0

for i, key in ipairs(KEYS) do
  local interval, limit = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local span = interval * limit
  local before = tonumber(redis.call('GET', key) or now)
  -- A clock that was set back costs nobody more than one window.
  due[i] = math.min(math.max(before, now), now + span)
  wait = math.max(wait, due[i] - (span - interval) - now)
end

local ahead = {}
for i, key in ipairs(KEYS) do
  if wait <= 0 then
    due[i] = due[i] + tonumber(ARGV[2 * i - 1])
    redis.call('SET', key, string.format('%.0f', due[i]), 'PX', math.ceil((due[i] - now) / 1000))
  end
  ahead[i] = due[i] - now
end
return {wait, ahead}
