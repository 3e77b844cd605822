// German, as it is loaded: what the page says and what the server does, in one file, which is half a kilobyte less than two.
export { messages } from './de';
export { sentences, words } from './said-de';
