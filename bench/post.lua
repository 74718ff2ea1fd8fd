-- wrk: POST /token with Basic credentials, one pair a line (base64) in the file named after `--`.
-- Requests are made beforehand, so that the load costs the same for every contestant.
local requests, turn, bad, threads, count = {}, 0, 0, {}, 0

function setup(thread)
  thread:set("id", count)
  count = count + 1
  table.insert(threads, thread)
end

function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", "/token", {
      ["Content-Type"] = "application/x-www-form-urlencoded",
      ["Authorization"] = "Basic " .. line,
    }, "grant_type=client_credentials")
  end
  turn = (id * 7919) % #requests
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status)
  if status ~= 200 then bad = bad + 1 end
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
