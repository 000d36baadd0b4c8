// Keeps a page as the node is: what the trail gains has the page fetched again, and the parts that changed put in
// the place of the old ones. Without it a page is as it was when it was loaded.

const line = document.getElementById('live');
const WAIT_MS = 1500;
let due = null;
let lost = false;

function say(text) {
  if (line.textContent !== text) line.textContent = text;
}

// The server has escaped everything; a document that is parsed this way runs no script.
function fetched(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('GET', address);
    request.responseType = 'document';
    request.onload = () => (request.status === 200 ? resolve(request.response) : reject(new Error(`${request.status}`)));
    request.onerror = () => reject(new Error('no answer'));
    request.send();
  });
}

function busy(part) {
  return part.contains(document.activeElement) || part.querySelector('input:checked, details[open]') !== null;
}

async function renew() {
  due = null;
  const parts = [...document.querySelectorAll('[data-live]')];
  if (!parts.length || document.hidden) return;
  let now;
  try {
    now = await fetched(location.href);
  } catch {
    return;
  }
  for (const part of parts) {
    const other = now.getElementById(part.id);
    if (other && !busy(part) && !part.isEqualNode(other)) {
      const fresh = document.importNode(other, true);
      fresh.classList.add('fresh');
      fresh.addEventListener('animationend', () => fresh.classList.remove('fresh'), {once: true});
      part.replaceWith(fresh);
    }
  }
}

function soon() {
  if (due === null) due = setTimeout(renew, WAIT_MS);
}

if (document.querySelector('[data-live]') && 'EventSource' in window) {
  const source = new EventSource('/api/v1/events');
  source.onopen = () => {
    if (lost) soon();
    lost = false;
    say('Live');
  };
  source.onmessage = soon;
  source.onerror = () => {
    lost = true;
    say('Not live: the node does not answer. Trying again.');
  };
  document.addEventListener('visibilitychange', () => document.hidden || soon());
}

for (const button of document.querySelectorAll('[data-copy]')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      say('Copied');
    } catch {
      say('Selected: copy it with Ctrl and C');
    }
  });
}
