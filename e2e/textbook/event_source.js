const eventSource = new EventSource('/events');

eventSource.addEventListener('update', (event) => {
    const data = JSON.parse(event.data);
    console.log('Update:', data);
});

eventSource.addEventListener('error', (error) => {
    console.error('Connection error:', error);
    eventSource.close();
});
