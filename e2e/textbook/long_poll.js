async function poll() {
    while (true) {
        try {
            const response = await fetch('/poll/client-123');
            const data = await response.json();
            if (data.data) {
                handleUpdate(data.data);
            }
            // Immediately poll again
        } catch (error) {
            // Wait before retry on error
            await sleep(5000);
        }
    }
}
