-- wrk: the same call of the management API again and again; the file named after `--` has the
-- method, the path, the access token and the body, a line each.
local threads, bad = {}, 0

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local lines = {}
  for line in io.lines(args[1]) do lines[#lines + 1] = line end
  local headers = { ["Authorization"] = "Bearer " .. lines[3] }
  if lines[4] then headers["Content-Type"] = "application/json" end
  call = wrk.format(lines[1], lines[2], headers, lines[4])
end

function request()
  return call
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
