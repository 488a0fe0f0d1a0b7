declare module '@syncline/react/themes.css';
