export const world = { height: 480, shapes: {} as Record<string, string>, dots: {} as Record<string, [number, number]> };
