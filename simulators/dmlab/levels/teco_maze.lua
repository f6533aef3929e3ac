--[[ Random mazes after the recipe of TECO's DMLab-40k.

9 x 9 cells with the border (`mazeSize`, odd): a depth-first carve between the cells of even row and
column, then every inner cell opened with probability 0.15 (`openProbability`). A theme of textures
for each quadrant. No goal, no pickups, no time limit of its own worth mention.
]]

local debug_observations = require 'decorators.debug_observations'
local custom_observations = require 'decorators.custom_observations'
local make_map = require 'common.make_map'
local maze_generation = require 'dmlab.system.maze_generation'
local random = require 'common.random'
local setting_overrides = require 'decorators.setting_overrides'

local WALL, FREE, SPAWN = '*', ' ', 'P'
local THEMES = {{'.', 'B'}, {'A', 'C'}}  -- [north, south][west, east]
local SIDES = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}}

local params = {
    mazeSize = 9,
    openProbability = 0.15,
    episodeLengthSeconds = 10 * 60,
}

local api = {}

local function filled(size)
  local cells = {}
  for row = 1, size do
    cells[row] = {}
    for column = 1, size do
      cells[row][column] = WALL
    end
  end
  return cells
end

local function unvisited(cells, size, row, column)
  local found = {}
  for _, side in ipairs(SIDES) do
    local r, c = row + 2 * side[1], column + 2 * side[2]
    if r > 1 and r < size and c > 1 and c < size and cells[r][c] == WALL then
      found[#found + 1] = {r, c, row + side[1], column + side[2]}
    end
  end
  return found
end

local function carve(cells, size)
  local half = (size - 1) / 2
  local way = {{2 * random:uniformInt(1, half), 2 * random:uniformInt(1, half)}}
  while #way > 0 do
    local row, column = way[#way][1], way[#way][2]
    cells[row][column] = FREE
    local choices = unvisited(cells, size, row, column)
    if #choices == 0 then
      way[#way] = nil
    else
      local chosen = choices[random:uniformInt(1, #choices)]
      cells[chosen[3]][chosen[4]] = FREE
      way[#way + 1] = {chosen[1], chosen[2]}
    end
  end
end

local function open(cells, size)
  for row = 2, size - 1 do
    for column = 2, size - 1 do
      if random:uniformReal(0, 1) < params.openProbability then
        cells[row][column] = FREE
      end
    end
  end
end

-- An opened cell may be walled in; only cells that can be reached from the first may be started in.
local function markSpawns(cells)
  local queue = {{2, 2}}
  cells[2][2] = SPAWN
  while #queue > 0 do
    local row, column = unpack(table.remove(queue))
    for _, side in ipairs(SIDES) do
      local r, c = row + side[1], column + side[2]
      if cells[r][c] == FREE then
        cells[r][c] = SPAWN
        queue[#queue + 1] = {r, c}
      end
    end
  end
end

local function asText(cells)
  local lines = {}
  for row, line in ipairs(cells) do
    lines[row] = table.concat(line)
  end
  return table.concat(lines, '\n') .. '\n'
end

local function themes(size)
  local cells = filled(size)
  for row = 1, size do
    for column = 1, size do
      cells[row][column] = THEMES[row > size / 2 and 2 or 1][column > size / 2 and 2 or 1]
    end
  end
  return cells
end

function api:start(episode, seed)
  random:seed(seed)
  local size = params.mazeSize
  local cells = filled(size)
  carve(cells, size)
  open(cells, size)
  markSpawns(cells)
  local maze = maze_generation.mazeGeneration{
      entity = asText(cells),
      variations = asText(themes(size)),
  }
  debug_observations.setMaze(maze)
  -- What map_maker draws (textures, decals) has a generator of its own.
  make_map.seedRng(seed)
  api._map = make_map.makeMap{
      mapName = 'teco_maze',
      mapEntityLayer = maze:entityLayer(),
      mapVariationsLayer = maze:variationsLayer(),
  }
end

function api:nextMap()
  return api._map
end

custom_observations.decorate(api)
setting_overrides.decorate{api = api, apiParams = params, decorateWithTimeout = true}

return api
