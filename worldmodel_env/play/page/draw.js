// Canvases: frames pixel by pixel, the map, and the graph behind the timeline.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function drawFrame(canvas, rgb, [height, width]) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0, j = 0; i < pixels.length; i += 1, j += 3) {
    pixels[i] = 0xff000000 | (rgb[j + 2] << 16) | (rgb[j + 1] << 8) | rgb[j];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// A drawing surface as sharp as the screen; sizes are in CSS pixels.
function surface(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  return [context, width, height];
}

// Surprise over time as a hill, rewards as dots; what was undone is pale.
export function drawGraph(canvas, marks, scene) {
  const [context, width, height] = surface(canvas);
  const span = Math.max(scene.last - scene.first, 1);
  const at = (elapsed) => 8 + ((elapsed - scene.first) / span) * (width - 16);
  const top = Math.max(2, ...[...marks.values()].map((mark) => mark.surprise ?? 0));
  const hill = (from, to, alpha) => {
    context.beginPath();
    context.moveTo(at(from), height);
    for (let t = from; t <= to; t += 1) {
      context.lineTo(at(t), height - 2 - ((marks.get(t)?.surprise ?? 0) / top) * (height - 8));
    }
    context.lineTo(at(to), height);
    context.globalAlpha = alpha;
    context.fillStyle = colour("--imagined");
    context.fill();
    context.globalAlpha = 1;
  };
  hill(scene.first, scene.elapsed, 0.5);
  hill(scene.elapsed, scene.last, 0.15);
  for (const [elapsed, mark] of marks) {
    if (mark.reward < 0.1 && !mark.ended) continue;
    context.fillStyle = colour("--gold");
    context.beginPath();
    context.arc(at(elapsed), 5, 2.5, 0, 7);
    context.fill();
  }
}

// The simulator's maze from above, the way so far, and where one stands and looks.
export function drawMap(canvas, place, marks, scene) {
  const [context, side] = surface(canvas);
  const poses = [...marks.values()].filter((mark) => mark.pose);
  let [left, bottom, unit] = [0, 0, 1]; // of the world, at the map's lower left corner
  if (place.walls) {
    unit = side / (place.walls.length * place.cell);
    drawWalls(context, place, side / place.walls.length);
  } else {
    const xs = poses.map((mark) => mark.pose[0]);
    const ys = poses.map((mark) => mark.pose[1]);
    const size = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys), 4);
    [left, bottom, unit] = [Math.min(...xs) - size / 8, Math.min(...ys) - size / 8, side / size / 1.25];
  }
  const spot = ([x, y]) => [(x - left) * unit, side - (y - bottom) * unit];
  for (const undone of [true, false]) {
    context.beginPath();
    for (const mark of poses) {
      if (undone ? mark.elapsed >= scene.elapsed : mark.elapsed <= scene.elapsed) {
        context.lineTo(...spot(mark.pose));
      }
    }
    context.strokeStyle = colour("--simulator");
    context.globalAlpha = undone ? 0.25 : 0.7;
    context.lineWidth = 2;
    context.stroke();
  }
  context.globalAlpha = 1;
  drawWalker(context, spot(scene.pose), (-scene.pose[2] * Math.PI) / 180);
}

function drawWalls(context, place, cell) {
  context.fillStyle = colour("--wall");
  place.walls.forEach((row, r) => {
    row.forEach((wall, c) => {
      if (wall) context.fillRect(c * cell - 0.3, r * cell - 0.3, cell + 0.6, cell + 0.6);
    });
  });
  if (place.goal) {
    const [row, column] = place.goal;
    context.fillStyle = colour("--goal");
    context.beginPath();
    context.arc((column + 0.5) * cell, (row + 0.5) * cell, cell / 4, 0, 7);
    context.fill();
  }
}

function drawWalker(context, [x, y], angle) {
  context.fillStyle = colour("--ink");
  context.globalAlpha = 0.16;
  context.beginPath();
  context.moveTo(x, y);
  context.arc(x, y, 34, angle - Math.PI / 4, angle + Math.PI / 4);
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  context.arc(x, y, 5, 0, 7);
  context.fill();
}
