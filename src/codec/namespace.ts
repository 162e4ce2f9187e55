// The namespaces that a payload can be bound to, for those who may import the codec only.
export { isNamespace } from '../keys/namespace.js';
