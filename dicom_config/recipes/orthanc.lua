-- Orthanc sends each radiograph to xrv-node as it arrives, and sends it again later when that failed.
-- Orthanc 1.8.1 or newer. The settings that go with it: orthanc.json beside this file.

local NODE = 'xrv-node'                      -- the node's name in DicomModalities
local MODALITIES = { CR = true, DX = true }  -- what to send; the node itself tells frontal chests from the rest
local MAKER = 'xrv-node project'             -- Manufacturer (0008,0070) of the node's own results
local PAUSE = 60                             -- seconds between rounds of second tries

local failed, tried = true, 0                -- after a start: look for what failed before it

local function aet()
   return ParseJson(RestApiGet('/modalities/' .. NODE .. '/configuration'))['AET']
end

-- A job that failed stays failed until somebody asks for it again: the node was down, or its disk was full.
local function again()
   if not failed or os.time() - tried < PAUSE then return end
   failed, tried = false, os.time()
   local node = aet()
   for _, job in pairs(ParseJson(RestApiGet('/jobs?expand'))) do
      if job['Type'] == 'DicomModalityStore' and job['State'] == 'Failure'
         and job['Content']['RemoteAet'] == node then
         RestApiPost('/jobs/' .. job['ID'] .. '/resubmit', '{}')
      end
   end
end

function OnStoredInstance(instanceId, tags, metadata, origin)
   -- Results must not go round: not what the node sent, and not what it made and somebody else sent.
   if MODALITIES[tags['Modality']] and tags['Manufacturer'] ~= MAKER and origin['RemoteAet'] ~= aet() then
      RestApiPost('/modalities/' .. NODE .. '/store', '{"Resources":["' .. instanceId .. '"],"Asynchronous":true}')
   end
   again()
end

function OnJobFailure(jobId)
   failed = true
end

-- Called where LuaHeartBeatPeriod is set (Orthanc 1.11.1); an older Orthanc tries again when the next image comes.
function OnHeartBeat()
   again()
end
