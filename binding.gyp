# Bridge only, for tools that call node-gyp, which hands over to scripts/build.mjs. Ours
# do not. Not published (an implicit `node-gyp rebuild` would run at install).
{
  "targets": [
    {
      "target_name": "googlenet_cmake",
      "type": "none",
      "actions": [
        {
          "action_name": "build",
          "inputs": [],
          "outputs": ["build/Release/googlenet.node"],
          "action": ["node", "scripts/build.mjs", "--native-only"]
        }
      ]
    }
  ]
}
