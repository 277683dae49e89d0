//! What runs inside Redis. Each script touches one key, so that all of them work in a cluster.

/// Joins or stays in the ring, the hash that all processes share: the generation, the servers it was made on, how often
/// something was told, and until when each member's lease lasts, by Redis' clock.
///
/// A new generation begins where there is none (a server lost its memory), where the servers are others than it was made
/// on (one restarted with old data, or a replica took over), where a member's lease ran out (it may have changed something
/// and told nobody), and where it is asked for. Everybody is told.
///
/// Arguments: `link` or `beat`, servers, a token for a new generation, member, lease in ms, channel, 1 to ask for a new
/// generation. Returns the generation and the number of the last message; of a `beat` an empty generation where it has
/// to link anew.
pub(super) const RING: &str = "
local ring = KEYS[1]
local what, servers, token, member, lease, channel, renew = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation = redis.call('HGET', ring, 'generation')
local known = generation and redis.call('HGET', ring, 'servers') == servers
if what == 'beat' and not (known and redis.call('HEXISTS', ring, 'member:' .. member) == 1) then
  return {'', 0}
end
local fresh = renew == '1' or not known
local fields = redis.call('HGETALL', ring)
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 7) == 'member:' and tonumber(fields[i + 1]) < now then
    redis.call('HDEL', ring, fields[i])
    fresh = true
  end
end
if fresh then
  generation = token
  redis.call('HSET', ring, 'generation', generation, 'servers', servers)
  redis.call('PUBLISH', channel, redis.call('HINCRBY', ring, 'told', 1) .. ' {}')
end
redis.call('HSET', ring, 'member:' .. member, now + lease)
return {generation, tonumber(redis.call('HGET', ring, 'told') or 0)}
";

/// Tells everybody something, under the next number. Arguments: channel, text.
pub(super) const TELL: &str = "
local number = redis.call('HINCRBY', KEYS[1], 'told', 1)
redis.call('PUBLISH', ARGV[1], number .. ' ' .. ARGV[2])
return number
";

/// Leaves the ring. Argument: member.
pub(super) const LEAVE: &str = "return redis.call('HDEL', KEYS[1], 'member:' .. ARGV[1])";

/// Reads a value of this generation, loaded at `ARGV[3]` or later; where there is none, puts the caller's claim in its
/// place. Returns the value, nothing (the claim stands), or 0 where another's claim stands.
///
/// The script's text has the generation in it: a server that does not know it has lost its memory, or is another than the
/// one that was asked, and answers NOSCRIPT instead of an old value. Arguments: claim, its life in ms, the least moment.
pub(super) fn find(generation: &str) -> String {
    format!(
        "
local found = redis.call('GET', KEYS[1])
if found and string.sub(found, 2, 17) == '{generation}' then
  local kind = string.sub(found, 1, 1)
  if kind == 'c' then return 0 end
  if kind == '1' and string.sub(found, 18, 37) >= ARGV[3] then return found end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"
    )
}

/// Puts a value where the caller's claim still stands: whoever changed the value meanwhile has taken the claim away.
/// Arguments: claim, value, its life in ms. Returns 1 when it was put.
pub(super) const FILL: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Takes one from a token bucket, as GCRA (ITU-T I.371, A.1): the key holds the theoretical arrival time of the next
/// request in microseconds. Arguments: microseconds a request, microseconds a full bucket lasts. Returns 0, or after how
/// many microseconds to come again.
pub(super) const BUCKET: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + ARGV[1]
local wait = arrival - ARGV[2] - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
return 0
";
