"""What must happen at once in Redis, as Lua. `KEYS[1]` is the prefix; all keys share its hash tag, so one shard holds them.

`PREFIX:alert:ID` is a hash; `PREFIX:by:KIND:VALUE` are sorted sets of `TIME:ID`, all of score 0, in the order of their text;
`PREFIX:budget:WINDOW` is a hash with what was spent and the verdict on each alert.
"""

from typing import Final

_PRELUDE: Final = """
local P = KEYS[1]
local function alert_key(id) return P .. ':alert:' .. id end
local function index(kind, value) return P .. ':by:' .. kind .. ':' .. value end
local INDEXED = {'state', 'severity', 'asset', 'rule'}
local function member(opened_at, id) return string.format('%016.0f', math.max(0, opened_at)) .. ':' .. id end
local function tell(id, kind, state)
  redis.call('PUBLISH', P .. ':changes', cjson.encode({id = id, kind = kind, state = state}))
end
local function move(key, kind, to)
  local found = redis.call('HMGET', key, 'member', kind)
  redis.call('ZREM', index(kind, found[2]), found[1])
  redis.call('ZADD', index(kind, to), 0, found[1])
  redis.call('HSET', key, kind, to)
end
"""

OPEN: Final = (
    _PRELUDE
    + """
local e, p = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])

local function drop(place)
  local id = string.sub(place, 18)
  local key = alert_key(id)
  local values = redis.call('HMGET', key, unpack(INDEXED))
  for i, kind in ipairs(INDEXED) do
    if values[i] then redis.call('ZREM', index(kind, values[i]), place) end
  end
  redis.call('ZREM', index('all', ''), place)
  redis.call('DEL', key)
end

local function trim()
  local all, resolved = index('all', ''), index('state', 'resolved')
  for _ = 1, 100 do
    if redis.call('ZCARD', all) <= p.alerts then break end
    drop(redis.call('ZRANGE', resolved, 0, 0)[1] or redis.call('ZRANGE', all, 0, 0)[1])
  end
  local horizon = tonumber(string.sub(redis.call('ZRANGE', all, -1, -1)[1], 1, 16)) - p.keep_ms
  for _, place in ipairs(redis.call('ZRANGE', all, 0, 99)) do
    if tonumber(string.sub(place, 1, 16)) < horizon then drop(place) end
  end
end

local function create(id, document, rule, asset, count)
  local place, key = member(e.opened_at, id), alert_key(id)
  redis.call('HSET', key, 'doc', document, 'state', 'open', 'severity', e.severity, 'rule', rule, 'asset', asset,
    'at', e.at, 'count', count, 'member', place)
  redis.call('ZADD', index('all', ''), 0, place)
  for i, value in ipairs({'open', e.severity, asset, rule}) do
    redis.call('ZADD', index(INDEXED[i], value), 0, place)
  end
  trim()
end

local function group(id, digest_document)
  local key, began = alert_key(id), 0
  if redis.call('EXISTS', key) == 0 then
    create(id, digest_document, 'digest', '', 0)
    began = 1
  end
  if redis.call('EXISTS', key) == 0 then return 0 end
  if began == 1 then redis.call('HSET', key, 'began', e.id) end
  redis.call('HINCRBY', key, 'count', 1)
  redis.call('HINCRBY', key, 'g:' .. e.rule, 1)
  local named = 'k:' .. e.rule .. ':' .. e.key
  if redis.call('HEXISTS', key, named) == 1 then
    redis.call('HINCRBY', key, named, 1)
  elseif redis.call('HINCRBY', key, 'named', 1) <= p.named then
    redis.call('HSET', key, named, 1)
  end
  if e.at > tonumber(redis.call('HGET', key, 'at')) then redis.call('HSET', key, 'at', e.at) end
  if e.severity == 'warning' and redis.call('HGET', key, 'severity') == 'info' then
    move(key, 'severity', 'warning')
  end
  tell(id, 'grouped', redis.call('HGET', key, 'state'))
  return began
end

local window = string.format('%.0f', math.floor(e.opened_at / p.per_ms))
local budget = P .. ':budget:' .. window
local verdict = redis.call('HGET', budget, 'v:' .. e.id)
if verdict then
  -- Written again because nobody heard of it: the digest that it opened must still be told as one that opens.
  local began = verdict ~= 'alone' and redis.call('HGET', alert_key(verdict), 'began') == e.id
  return {verdict, 0, began and 1 or 0}
end
if redis.call('EXISTS', alert_key(e.id)) == 1 then return {'alone', 0, 0} end

local began = 0
if e.severity == 'critical' or tonumber(redis.call('HGET', budget, 'spent') or 0) < p.allowance then
  verdict = 'alone'
  redis.call('HINCRBY', budget, 'spent', 1)
  create(e.id, ARGV[1], e.rule, e.asset, e.count)
  tell(e.id, 'opened', 'open')
else
  local number = tonumber(redis.call('HGET', budget, 'number') or 1)
  local function named(n) return 'digest-' .. window .. '-' .. string.format('%.0f', n) end
  if redis.call('HGET', alert_key(named(number)), 'state') == 'resolved' then
    number = number + 1
    redis.call('HSET', budget, 'number', number)
  end
  verdict = named(number)
  began = group(verdict, string.gsub(ARGV[3], '%%ID%%', verdict))
end
if redis.call('HLEN', budget) < p.ids then redis.call('HSET', budget, 'v:' .. e.id, verdict) end
redis.call('EXPIRE', budget, p.budget_s)
return {verdict, 1, began}
"""
)
"""ARGV: the event, the policy, the document of a digest with %ID% for its id. Returns verdict, fresh, began."""

FOLLOW: Final = (
    _PRELUDE
    + """
local e, p = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local key = alert_key(e.id)
if redis.call('EXISTS', key) == 0 then
  local budget = P .. ':budget:' .. string.format('%.0f', math.floor(e.opened_at / p.per_ms))
  local verdict = redis.call('HGET', budget, 'v:' .. e.id)
  if not verdict then return {'unknown', 0, 0} end
  local digest = alert_key(verdict)
  if verdict == 'alone' or e.kind ~= 'cleared' or redis.call('EXISTS', digest) == 0 then return {verdict, 0, 0} end
  if redis.call('HSETNX', budget, 'c:' .. e.id, 1) == 0 then return {verdict, 0, 0} end
  redis.call('HINCRBY', digest, 'cleared', 1)
  tell(verdict, 'cleared', redis.call('HGET', digest, 'state'))
  return {verdict, 1, 0}
end
if e.kind == 'cleared' and redis.call('HSETNX', key, 'cleared_at', e.at) == 0 then return {'alone', 0, 0} end
local fresh = 0
if e.at > tonumber(redis.call('HGET', key, 'at')) then
  redis.call('HSET', key, 'at', e.at, 'count', e.count)
  fresh = 1
end
if e.kind == 'cleared' then
  fresh = 1
  if redis.call('HGET', key, 'state') ~= 'resolved' then
    move(key, 'state', 'resolved')
    redis.call('HSET', key, 'resolved_by', ARGV[3], 'resolved_at', e.at)
  end
end
if fresh == 1 then tell(e.id, e.kind, redis.call('HGET', key, 'state')) end
return {'alone', fresh, 0}
"""
)
"""ARGV: the event, the policy, the mesh's name as an actor. Returns verdict, fresh, 0."""

ACT: Final = (
    _PRELUDE
    + """
local id, action, to, actor, at, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = alert_key(id)
local state = redis.call('HGET', key, 'state')
if not state then return {'missing', ''} end
if state == to and redis.call('HGET', key, to .. '_by') == actor then
  return {'done', state, redis.call('HGETALL', key)}
end
local allowed = false
for i = 7, #ARGV do allowed = allowed or ARGV[i] == state end
if not allowed then return {'wrong', state} end
move(key, 'state', to)
redis.call('HSET', key, to .. '_by', actor, to .. '_at', at, to .. '_note', note)
tell(id, action, to)
return {'done', to, redis.call('HGETALL', key)}
"""
)
"""ARGV: id, action, the state that it leads to, actor, time, note, and the states that it starts from."""

PAGE: Final = (
    _PRELUDE
    + """
local q = cjson.decode(ARGV[1])
local kinds, from = {}, index('all', '')
local fewest = redis.call('ZCARD', from)
for kind, value in pairs(q.filters) do
  kinds[#kinds + 1] = kind
  local some = redis.call('ZCARD', index(kind, value))
  if some <= fewest then from, fewest = index(kind, value), some end
end
local upper, found, scanned, last = q.upper, {}, 0, ''
while #found < q.limit and scanned < q.scan do
  local places = redis.call('ZREVRANGEBYLEX', from, upper, q.lower, 'LIMIT', 0, math.min(100, q.scan - scanned))
  if #places == 0 then return {'', found} end
  for _, place in ipairs(places) do
    scanned, last = scanned + 1, place
    local key, fits = alert_key(string.sub(place, 18)), true
    for _, kind in ipairs(kinds) do fits = fits and redis.call('HGET', key, kind) == q.filters[kind] end
    if fits then found[#found + 1] = redis.call('HGETALL', key) end
    if #found == q.limit then break end
  end
  upper = '(' .. last
end
if #redis.call('ZREVRANGEBYLEX', from, '(' .. last, q.lower, 'LIMIT', 0, 1) == 0 then last = '' end
return {last, found}
"""
)
"""ARGV: {filters, lower, upper, limit, scan}. Returns the cursor (empty after the last page) and the hashes."""
