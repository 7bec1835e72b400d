-- Requests of wrk that show logins: those of a file, one line after the other, so that none is an
-- argument. An empty line shows nothing. They are written out before the load begins.
-- usage: wrk -s wrk-logins.lua URL -- FILE
local requests = {}
local at = 0

function init(args)
  for line in io.lines(args[1]) do
    if line ~= "" then wrk.headers["Authorization"] = line end
    requests[#requests + 1] = wrk.format()
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
