// Shows an image on all its grey levels: window, zoom and place by pointer and by keyboard, and what the networks
// say laid over it, when it is asked for. The picture that was there without it stays where it fails.

const SVG = 'http://www.w3.org/2000/svg';
const LEVELS = 65536;

const TOOLS = [
  ['invert', 'Invert'], ['fit', 'Fit'], ['one', '1:1'], ['in', 'Zoom in'], ['out', 'Zoom out'],
  ['brighter', 'Brighter'], ['darker', 'Darker'], ['more', 'More contrast'], ['less', 'Less contrast'], ['reset', 'As it was'],
];
const KEYS = {
  i: 'invert', f: 'fit', 1: 'one', '+': 'in', '=': 'in', '-': 'out', r: 'reset',
  '.': 'brighter', ',': 'darker', ']': 'more', '[': 'less',
  ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down',
};

function element(name, attributes = {}, text = '') {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class Viewer {
  constructor(box, grey) {
    this.box = box;
    this.stage = box.querySelector('.stage');
    Object.assign(this, grey);
    this.layers = new Map();
    this.canvas = element('canvas', {
      tabindex: '0', role: 'img',
      'aria-label': `${box.querySelector('img').alt}. Keys: plus and minus zoom, arrows move, brackets contrast, comma and full stop brightness, i invert, f fit, 1 one to one, r as it was`,
    });
    this.overlay = drawn('svg', {'aria-hidden': 'true'});
    this.group = drawn('g', {});
    this.overlay.append(this.group);
    this.whole = new OffscreenCanvas(this.columns, this.rows);
    this.image = new ImageData(this.columns, this.rows);
    this.words = new Uint32Array(this.image.data.buffer);
    this.table = new Uint32Array(LEVELS);
    this.stage.replaceChildren(this.canvas, this.overlay);
    this.reset();
    this.tools();
    this.listen();
    new ResizeObserver(() => this.sized()).observe(this.stage);
  }

  reset() {
    this.centre = (this.low + this.high) / 2;
    this.width = Math.max(this.high - this.low, 1);
    this.inverted = false;
    this.stale = true;
    this.fitted = true;
    this.sized();
  }

  sized() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.stage.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.stage.clientHeight * ratio));
    this.overlay.setAttribute('viewBox', `0 0 ${this.canvas.width} ${this.canvas.height}`);
    if (this.fitted) this.fit();
    this.soon();
  }

  fit() {
    this.zoom = Math.min(this.canvas.width / this.columns, this.canvas.height / (this.rows * this.aspect));
    this.left = (this.canvas.width - this.columns * this.zoom) / 2;
    this.top = (this.canvas.height - this.rows * this.aspect * this.zoom) / 2;
    this.fitted = true;
  }

  zoomed(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.02), 40);
    this.left = x - (x - this.left) * zoom / this.zoom;
    this.top = y - (y - this.top) * zoom / this.zoom;
    this.zoom = zoom;
    this.fitted = false;
  }

  windowed(brightness, contrast) {
    this.centre -= brightness * (this.high - this.low);
    this.width = Math.max(this.width * contrast, 1);
    this.stale = true;
  }

  act(what) {
    const step = 0.1 * Math.min(this.canvas.width, this.canvas.height);
    const acts = {
      invert: () => { this.inverted = !this.inverted; this.stale = true; },
      fit: () => this.fit(),
      one: () => this.zoomed(1 / this.zoom),
      in: () => this.zoomed(1.25), out: () => this.zoomed(0.8),
      brighter: () => this.windowed(0.05, 1), darker: () => this.windowed(-0.05, 1),
      more: () => this.windowed(0, 0.9), less: () => this.windowed(0, 1 / 0.9),
      reset: () => this.reset(),
      left: () => this.moved(step, 0), right: () => this.moved(-step, 0),
      up: () => this.moved(0, step), down: () => this.moved(0, -step),
    };
    acts[what]();
    this.soon();
  }

  moved(x, y) {
    this.left += x;
    this.top += y;
    this.fitted = false;
  }

  soon() {
    if (!this.waits) this.waits = requestAnimationFrame(() => { this.waits = 0; this.draw(); });
  }

  draw() {
    if (this.stale) this.grey();
    const context = this.canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = '#000';
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = this.zoom < 3;
    context.imageSmoothingQuality = 'high';
    context.setTransform(this.zoom, 0, 0, this.zoom * this.aspect, this.left, this.top);
    context.drawImage(this.whole, 0, 0);
    this.group.setAttribute('transform', `matrix(${this.zoom} 0 0 ${this.zoom * this.aspect} ${this.left} ${this.top})`);
    const range = Math.max(this.high - this.low, 1);
    const share = value => Math.round(100 * value / range);
    const text = `Window ${share(this.width)} % around ${share(this.centre - this.low)} %, zoom ${Math.round(100 * this.zoom)} %${this.inverted ? ', inverted' : ''}`;
    if (this.told.textContent !== text) this.told.textContent = text;
    this.box.dataset.window = `${Math.round(this.centre)} ${Math.round(this.width)} ${this.inverted}`;
    this.box.dataset.zoom = this.zoom.toFixed(4);
  }

  grey() {
    const from = this.centre - this.width / 2;
    for (let level = 0; level < LEVELS; level += 1) {
      let shown = Math.floor(Math.min(Math.max((level - from) / this.width, 0), 1) * 255);
      if (this.inverted) shown = 255 - shown;
      this.table[level] = 0xff000000 | (shown << 16) | (shown << 8) | shown;
    }
    const {words, table, levels} = this;
    for (let at = 0; at < levels.length; at += 1) words[at] = table[levels[at]];
    this.whole.getContext('2d').putImageData(this.image, 0, 0);
    this.stale = false;
  }

  tools() {
    const bar = this.box.querySelector('.tools');
    for (const [what, label] of TOOLS) {
      const button = element('button', {type: 'button', 'data-act': what}, label);
      button.addEventListener('click', () => this.act(what));
      bar.append(button);
    }
    this.told = element('output');
    bar.append(this.told);
    bar.hidden = false;
    this.box.querySelector('.keys').hidden = false;
  }

  listen() {
    const scale = () => this.canvas.width / this.canvas.clientWidth;
    this.canvas.addEventListener('keydown', event => {
      if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in KEYS)) return;
      event.preventDefault();
      this.act(KEYS[event.key]);
    });
    this.canvas.addEventListener('wheel', event => {
      event.preventDefault();
      this.zoomed(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.offsetX * scale(), event.offsetY * scale());
      this.soon();
    }, {passive: false});
    this.canvas.addEventListener('pointerdown', event => {
      this.canvas.focus();
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener('pointermove', event => {
      if (!this.canvas.hasPointerCapture(event.pointerId)) return;
      if (event.shiftKey || event.buttons === 4) this.moved(event.movementX * scale(), event.movementY * scale());
      else this.windowed(-event.movementY / 600, Math.exp(event.movementX / 300));
      this.soon();
    });
    this.canvas.addEventListener('contextmenu', event => event.preventDefault());
  }

  async toggle(button) {
    if (this.layers.has(button)) {
      this.layers.get(button).remove();
      this.layers.delete(button);
    } else {
      const layer = await this.layer(button);
      this.group.append(layer);
      this.layers.set(button, layer);
    }
    button.setAttribute('aria-pressed', String(this.layers.has(button)));
    this.soon();
  }

  async layer(button) {
    const {layer, address, points} = button.dataset;
    const group = drawn('g', {'data-shown': layer});
    if (layer === 'region') group.append(drawn('polygon', {class: 'region', points: points.trim()}));
    if (layer === 'heat') {
      group.append(drawn('image', {href: address, width: this.columns, height: this.rows, preserveAspectRatio: 'none'}));
    }
    if (layer === 'anatomy') {
      const found = await (await fetch(address)).json();
      for (const {name, outlines} of found.items) {
        for (const outline of outlines) {
          const shape = drawn('polygon', {class: 'anatomy', points: outline.map(point => point.join(',')).join(' ')});
          const title = drawn('title', {});
          title.textContent = name;
          shape.append(title);
          group.append(shape);
        }
      }
    }
    return group;
  }
}

async function open(box) {
  const answer = await fetch(box.dataset.pixels);
  if (answer.status === 404) { // damaged, or not here any more: the page says below what is the matter
    const stage = box.querySelector('.stage');
    stage.classList.add('broken');
    stage.replaceChildren(element('p', {role: 'note'}, 'This image cannot be shown: its file is damaged or not here any more.'));
  }
  if (!answer.ok) return;
  const number = name => Number(answer.headers.get(`Image-${name}`));
  const data = await answer.arrayBuffer();
  const viewer = new Viewer(box, {
    rows: number('Rows'), columns: number('Columns'), low: number('Low'), high: number('High'), aspect: number('Aspect'),
    levels: new Uint16Array(data),
  });
  const said = box.closest('.reading').querySelector('.said');
  for (const button of said.querySelectorAll('[data-layer]')) {
    button.closest('.acts').hidden = false;
    button.addEventListener('click', () => viewer.toggle(button));
  }
  for (const details of said.querySelectorAll('[data-scores]')) {
    details.addEventListener('toggle', () => {
      if (details.open) return; // closed again: nothing of it stays on the image
      for (const button of details.querySelectorAll('[aria-pressed="true"]')) viewer.toggle(button);
    });
  }
  box.dataset.ready = 'yes';
}

const seen = new IntersectionObserver(entries => {
  for (const {isIntersecting, target} of entries) {
    if (isIntersecting) {
      seen.unobserve(target);
      open(target).catch(() => {});
    }
  }
}, {rootMargin: '200px'});
for (const box of document.querySelectorAll('[data-viewer]')) seen.observe(box);
