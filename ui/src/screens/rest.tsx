// The screens that are not asked for at once: one file of their own, loaded while nothing else is done, or when the first of them is opened.
export { Access } from './access';
export { Actions } from './actions';
export { Activity } from './activity';
export { Blocklists } from './blocklists';
export { Defaults } from './defaults';
export { Filters } from './filters';
export { JailEdit } from './jailedit';
export { JailNew } from './jailnew';
export { Log } from './log';
export { NeverBan } from './neverban';
export { Notifications } from './notifications';
export { Settings } from './settings';
