"""What concerns several keys of the jobs at once, as scripts: Redis runs each as one transaction.

Scripts, not WATCH: whether the queue has room is asked together with the rest, and under WATCH
each job that a worker takes meanwhile would make everyone begin again. What a script writes is
replicated and kept as one MULTI.
"""

from typing import Final

CREATE: Final = """
-- queue, record, updates, index[, idempotency key] | id, type, entry, now, digest,
-- queue limit, updates kept, record seconds, key seconds, record prefix
local queue, record, updates, index, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, now = ARGV[1], ARGV[4]
if key then
  local known = redis.call('GET', key)
  if known then
    local known_id, digest = string.match(known, '^(%S+) (%S+)$')
    local status = known_id and redis.call('HGET', ARGV[10] .. known_id, 'status')
    if status then
      return {digest == ARGV[5] and 'known' or 'conflict', known_id, status}
    end
  end
end
if redis.call('LLEN', queue) >= tonumber(ARGV[6]) then
  return {'full', '', ''}
end
-- A name that holds something else fails here, before anything is written.
redis.call('XLEN', updates)
local newest = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')
local number = (tonumber(newest[2]) or 0) + 1
for _, oldest in ipairs(redis.call('ZRANGE', index, 0, 1)) do
  if redis.call('EXISTS', ARGV[10] .. oldest) == 0 then
    redis.call('ZREM', index, oldest)
  end
end
redis.call('HSET', record, 'type', ARGV[2], 'status', 'queued', 'progress', '', 'result', '',
  'error', '', 'ts', now, 'created_at', now, 'entry', ARGV[3])
redis.call('EXPIRE', record, ARGV[8])
redis.call('ZADD', index, number, id)
redis.call('XADD', updates, 'MAXLEN', '~', ARGV[7], '*', 'id', id, 'status', 'queued', 'ts', now)
if key then
  redis.call('SET', key, id .. ' ' .. ARGV[5], 'EX', ARGV[9])
end
redis.call('RPUSH', queue, ARGV[3])
return {'new', id, 'queued'}
"""
"""Answers {what, id, status}: `new`, `known` (the key's job), `conflict` (another body), `full`."""

LIST: Final = """
-- index | highest number, how many, record prefix, fields of a record
local found = redis.call('ZRANGE', KEYS[1], ARGV[1], '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[2],
  'WITHSCORES')
local fields = {unpack(ARGV, 4)}
local told = {}
for at = 1, #found, 2 do
  local record = redis.call('HMGET', ARGV[3] .. found[at], unpack(fields))
  told[#told + 1] = {found[at], found[at + 1], record}
end
return told
"""
"""Answers {id, number, record} of each, newest first. One answer, as many are slow to read."""

KNOWN: Final = """
-- records
local told = {}
for at, record in ipairs(KEYS) do
  told[at] = redis.call('HEXISTS', record, 'type')
end
return told
"""
"""Answers 1 or 0 for each: whether it is the record of a job that was made."""

CANCEL: Final = """
-- queue, record, updates | id, now, updates kept
local queue, record, updates = KEYS[1], KEYS[2], KEYS[3]
local id, now = ARGV[1], ARGV[2]
local status = redis.call('HGET', record, 'status')
if not status or redis.call('HEXISTS', record, 'type') == 0 then
  return {'unknown', ''}
end
if status == 'completed' or status == 'failed' or status == 'cancelled' then
  return {'finished', status}
end
local entry = redis.call('HGET', record, 'entry')
if status == 'queued' and entry and redis.call('LREM', queue, 1, entry) == 1 then
  redis.call('HSET', record, 'status', 'cancelled', 'progress', '', 'result', '', 'error', '',
    'ts', now, 'finished_at', now, 'cancel', now)
  redis.call('HDEL', record, 'entry')
  redis.call('XADD', updates, 'MAXLEN', '~', ARGV[3], '*', 'id', id, 'status', 'cancelled',
    'ts', now)
  return {'cancelled', 'cancelled'}
end
-- A worker has it: the first wish counts, others find it there.
redis.call('HSETNX', record, 'cancel', now)
return {'asked', status}
"""
"""Answers {what, status}: `unknown`, `finished`, `cancelled` (it was in the queue), or `asked`."""
