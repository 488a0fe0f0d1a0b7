import '@syncline/react/themes.css';
import './styles/page.css';
import './styles/board.css';
import './styles/nextstep.css';
import { createSyncline } from '@syncline/client/browser';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { readOptions } from './options.js';
import { schema } from './schema.js';

const options = readOptions(location, globalThis.localStorage as Storage | undefined);

// One client for each person, with a store of their own, so that two people in one page know nothing of each other.
const people = options.people.map((name, index) => ({
  name,
  client: createSyncline({
    schema,
    url: options.url,
    workspace: options.workspace,
    actor: name,
    clientName: 'board',
    ...(options.people.length > 1 ? { profile: `person-${String(index + 1)}` } : {}),
  }),
}));

declare global {
  /** The clients of this page, to play with in the browser's console: `boards[0].client.query({ … })`. */
  var boards: typeof people;
}
globalThis.boards = people;

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App people={people} workspace={options.workspace} />
    </StrictMode>,
  );
}
