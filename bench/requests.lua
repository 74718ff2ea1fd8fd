-- wrk: the requests in the file named after `--`, whole and with a NUL between two, in turn.
-- They are made beforehand, so that the load costs the same for every contestant.
local requests, turn, bad, threads, count = {}, 0, 0, {}, 0

function setup(thread)
  thread:set("id", count)
  count = count + 1
  table.insert(threads, thread)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text, from = file:read("*a"), 1
  file:close()
  while true do
    local to = text:find("\0", from, true)
    requests[#requests + 1] = text:sub(from, (to or 0) - 1)
    if not to then break end
    from = to + 1
  end
  turn = (id * 7919) % #requests
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status)
  if status >= 300 then bad = bad + 1 end
  non200 = bad
end

function done(summary, latency)
  local refused = 0
  for _, thread in ipairs(threads) do refused = refused + (thread:get("non200") or 0) end
  local errors = summary.errors
  io.write(string.format(
    'JSON {"rps":%.1f,"requests":%d,"non200":%d,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests / summary.duration * 1e6, summary.requests, refused,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
