export { writeRecord } from './annotation.ts';
export { findEmergencies } from './find.ts';
export { addPointer, removePointer } from './pointers.ts';
export { createEmergencyRollback } from './roll-back.ts';
export { whoHas } from './who.ts';
