declare module '*.css';
declare module '@syncline/react/themes.css';
