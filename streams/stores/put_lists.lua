-- Write lists and private states of users, each only where it is newer than what stands there.
--
-- KEYS  for each user: the list's key, the private state's key
-- ARGV  [1] the channel, [2] seconds to live, then for each user: the id, the list ('' to leave it), the private state
-- Returns for how many users anything was written.
--
-- Both values carry a version of 30 characters, so that comparing strings tells which is newer: the list after
-- `{"version":"`, the private state at its start. They are compared apart, because either may have been lost alone.

local function is_newer(key, first, last, version)
    local stored = redis.pcall('GETRANGE', key, first, last)
    if type(stored) ~= 'string' or stored < version then
        return true -- nothing there, something older, or a key of another type
    end
    -- What is no version at all was not written by us, and would otherwise stand in the way for ever.
    return string.find(stored, '^%d%d%d%d%-%d+%-%d%d%d%d%d%d%d%d$') == nil
end

local channel, ttl = ARGV[1], ARGV[2]
local written = 0
for i = 1, #KEYS, 2 do
    local at = 3 + (i - 1) / 2 * 3
    local user_id, list, state = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local version = string.sub(state, 1, 30)
    local changed = false
    if is_newer(KEYS[i + 1], 0, 29, version) then
        redis.call('SET', KEYS[i + 1], state, 'EX', ttl)
        changed = true
    end
    if #list > 0 and is_newer(KEYS[i], 12, 41, version) then
        redis.call('SET', KEYS[i], list, 'EX', ttl)
        redis.call('PUBLISH', channel, user_id)
        changed = true
    end
    if changed then
        written = written + 1
    end
end
return written
