-- Puts a text in a session's place if what stands there is what the caller expects.
--
-- KEYS[1]  the session's key
-- ARGV[1]  what is expected there; empty: nothing
-- ARGV[2]  what to put there
-- ARGV[3]  for how many milliseconds
--
-- Answers nil when it was put, and otherwise what stands there; empty: nothing. A key of another type and an
-- empty text count as nothing: neither can be a record or a lease.
--
-- A replica, or a master that lost its replicas, must not answer. Redis refuses it a write, so the last word is
-- always one: SET, or else GETEX, which reads like GET but counts as a write. GETEX must not come before SET: of
-- several writes in a script only the first is refused when memory is full.
local function text(command)
  local found = redis.pcall(command, KEYS[1])
  if type(found) == 'table' and string.sub(found.err, 1, 9) == 'WRONGTYPE' then
    return ''
  end
  return found or ''
end

if text('GET') ~= ARGV[1] then
  return text('GETEX')
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
